"""A whole Kubernetes node on this machine, in namespaces of its own: real pods, and nothing that stays."""

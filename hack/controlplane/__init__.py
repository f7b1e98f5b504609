"""A Kubernetes control plane of one's own on this machine, for tests, benches
and `make up`.

Real programs, no cluster: etcd, kube-apiserver and kube-controller-manager as
plain processes on loopback. `binaries` finds or builds them, `server` runs
them, `accounts` and `apply` fill them, `proxy` stands in front of the API
server and breaks things on purpose. Nothing here knows Cérebro's own code.
"""

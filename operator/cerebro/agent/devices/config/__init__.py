"""The router's end of the tunnel: what `spec.manageConfig` is about."""

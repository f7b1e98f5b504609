"""The operator process: what needs no host. `main` is where it begins."""

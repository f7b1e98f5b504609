"""A virtual machine with WireGuard in its kernel, on this machine's own files:
`python -m vm run -- CMD...`.
"""

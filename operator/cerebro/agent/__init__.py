"""The agent process: it owns WireGuard and the routers. `main` is where it
begins.
"""

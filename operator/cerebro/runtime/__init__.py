"""What every process runs on: loops, back-off, clocks, health, logs, metrics
and settings.

Nothing here knows Kubernetes, routers, WireGuard or the work of a process.
"""

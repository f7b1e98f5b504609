"""Unit tests of the bridge: pure functions, and its SQLite store in a temporary folder.

No HTTP, no Kubernetes, no router.
"""

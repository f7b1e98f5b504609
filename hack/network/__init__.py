"""Network namespaces for tests and the local relay: nodes, cables between
them, and ways in and out.
"""

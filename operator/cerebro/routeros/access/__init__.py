"""Access on a router: what is wanted, what is there, and the changes between
the two.
"""

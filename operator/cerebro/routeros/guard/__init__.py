"""The guard: a script on a router that ends access on time where nobody
reaches that router (rule B11).
"""

"""One loop for each Device: the connection to its router, what is due there,
and its status.
"""

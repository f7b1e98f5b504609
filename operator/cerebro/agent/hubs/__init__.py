"""One loop for each Hub: its interface, its peers, its isolation, and their
statuses.
"""

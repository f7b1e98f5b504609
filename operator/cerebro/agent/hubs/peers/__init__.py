"""The Peers of one Hub: which are accepted, what is planned for them, and what
their statuses report.
"""

"""What a router grants: from the Sessions of a Device to rows, and back to
their statuses.
"""

"""Whether a router can do what is asked of it: its version, its hotspot, its
licence, its disk, and what it refuses for such a reason.
"""

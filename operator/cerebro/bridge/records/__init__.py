"""The records of access: who had access where, from when until when. They
outlive the Sessions that gave it.
"""

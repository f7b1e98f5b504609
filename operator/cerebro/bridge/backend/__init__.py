"""The backend's side of the bridge: its feed of events, and the ACKs that it
takes (contract 3).
"""

"""What a Device gets of the operator: its tunnel address and its Peer; and
Devices that share a routerID.
"""

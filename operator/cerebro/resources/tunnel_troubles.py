"""Reasons of Ready on a Device that are the operator's: why it has no tunnel address, or no Peer."""

HUB_NOT_FOUND = "HubNotFound"
POOL_EXHAUSTED = "PoolExhausted"
OUTSIDE_HUB = "TunnelAddressOutsideHub"
CONFLICT = "TunnelAddressConflict"
NAME_TAKEN = "PeerNameTaken"
TROUBLES = frozenset({HUB_NOT_FOUND, POOL_EXHAUSTED, OUTSIDE_HUB, CONFLICT, NAME_TAKEN})

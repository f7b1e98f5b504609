"""Reasons of Ready on a Device that are the operator's: why it has no tunnel address, or no Peer."""

HUB_NOT_FOUND = "HubNotFound"
POOL_EXHAUSTED = "PoolExhausted"
OUTSIDE_HUB = "TunnelAddressOutsideHub"
CONFLICT = "TunnelAddressConflict"
NAME_TAKEN = "PeerNameTaken"
TROUBLES = frozenset({HUB_NOT_FOUND, POOL_EXHAUSTED, OUTSIDE_HUB, CONFLICT, NAME_TAKEN})


REMOVED = "Removed"


CLEANED_UP = "CleanedUp"


AGENT_LOST = "AgentLost"


NOT_RESOLVED, NOT_ROUTED = "EndpointNotResolved", "RouteRefused"


DUPLICATE_ROUTER_ID = "DuplicateRouterID"


OPERATOR_REASONS = TROUBLES | {DUPLICATE_ROUTER_ID}

"""Reasons of conditions on which several processes agree: one process writes them, another one reads them.

A reason that only its writer knows stands where it is written. Reasons are an interface: people and their alerts read
them too.
"""

# Ready of a Device, written by the operator: why it has no tunnel address, or no Peer.
HUB_NOT_FOUND = "HubNotFound"
POOL_EXHAUSTED = "PoolExhausted"
OUTSIDE_HUB = "TunnelAddressOutsideHub"
CONFLICT = "TunnelAddressConflict"
NAME_TAKEN = "PeerNameTaken"
TROUBLES = frozenset(
    {HUB_NOT_FOUND, POOL_EXHAUSTED, OUTSIDE_HUB, CONFLICT, NAME_TAKEN}
)

DUPLICATE_ROUTER_ID = "DuplicateRouterID"
"""Ready of a Device, written by the operator: an older Device has the same routerID."""

OPERATOR_REASONS = TROUBLES | {DUPLICATE_ROUTER_ID}
"""Reasons of Ready on a Device that only the operator writes and takes back."""

AGENT_LOST = "AgentLost"
"""Ready of a Hub, Peer or Device, written by the operator in place of an agent that is silent (rule E12)."""

REMOVED = "Removed"
"""Applied of a Peer, written by the agent: it is not on the interface, so its finalizer may go."""

CLEANED_UP = "CleanedUp"
"""Ready of a Hub or Device, written by the agent: nothing of it is left outside, so its finalizer may go."""

SECRET_NOT_READ = "SecretNotRead"  # noqa: S105 a reason
"""Applied of a Peer, written by the agent: its preshared key is being read, and the peer comes with it."""

APPLYING = "Applying"
"""Applied of a Peer, written by the agent: the peer is being put on the interface."""

ON_ITS_WAY = frozenset({SECRET_NOT_READ, APPLYING})
"""Reasons of Applied that end by themselves, so that whoever waits for the peer goes on waiting."""

NOT_RESOLVED, NOT_ROUTED = "EndpointNotResolved", "RouteRefused"

NOT_LOOKED_YET = "NotLookedYet"
"""Nobody has compared the object yet; also what the operator leaves where it takes back a trouble."""

INVALID_OBJECT = "InvalidObject"
"""Our models cannot read the object: it is frozen (rule B9)."""

PAUSED = "Paused"
"""`spec.paused` forbids what would be done (rule B8)."""

DRY_RUN = "DryRun"
"""`spec.dryRun`, or a setting of the agent, forbids every write to router or
node (rule F6).
"""

WRONG_ROUTER = "WrongRouter"
"""The router that answers is not the one of the Device."""

NOT_SUPPORTED = "NotSupported"
"""A field of the spec does nothing in this release, or the router lacks a menu."""

CLOCK_SKEW = "ClockSkew"
"""The agent's clock is too far from the API server's to grant anything new (rule A9)."""

NEVER_GRANTED = "NeverGranted"
"""A Session was not on the router within its time (rule A5)."""

DEVICE_NOT_FOUND = "DeviceNotFound"
"""A Session or DeviceCommand names a Device that never was there (rule A8)."""

DEVICE_GONE = "DeviceGone"
"""The Device of a Session or DeviceCommand was deleted (rule A8)."""

BLOCKED_BY_HAND = "BlockedByHand"
"""An entry that a person made on the router keeps the client out (rule B4)."""

USER_MADE_BY_HAND = "UserMadeByHand"
"""A hotspot user that a person made has the name that a Session wants."""

GRANTED_BY_HAND = "GrantedByHand"
"""An entry that a person made on the router still lets the client in (rule B4)."""

# Complete and Ready of a DeviceCommand, written by the agent; the bridge makes its answers of them.
SUCCEEDED = "Succeeded"
"""All sentences were run, and the router took them."""

NOT_ALLOWED = "NotAllowed"
"""`spec.commands` of the Device, or what is never run, forbids the command (rule C1)."""

PARAMETER_NOT_USABLE = "ParameterNotUsable"
"""A parameter or a placeholder of the command cannot be used."""

TOO_LATE = "TooLate"
"""The command could not begin in its time; it was not run (rule C2)."""

INTERRUPTED = "Interrupted"
"""The agent ended while the command ran: it may have run (rule C2)."""

SENTENCE_REFUSED = "SentenceRefused"
"""The router refused a sentence; the results say why."""

SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 a reason
"""The Secret of a command did not come, or is not what it must be (rule D2)."""

NO_ANSWER = "NoAnswer"
"""The router did not answer in time, or the connection broke."""

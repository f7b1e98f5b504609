"""What each reason of our conditions means for somebody who waits. The only table of it. Pure.

A waiter is done with what is Healthy. It goes on waiting for what is Progressing: that ends by itself, as soon as the
router, the node or the API server answers. It goes on waiting for what is Suspended too, until the person who asked for
that takes it back. It gives up on what is Degraded, since only a person can mend that.

The words are Argo CD's. kstatus (Helm, Flux) says of them Current, InProgress, InProgress and Failed, as
`domain.conditions` puts its conditions `Reconciling` and `Stalled` beside ours by this table.
"""

from dataclasses import dataclass
from typing import Literal

Health = Literal["Healthy", "Progressing", "Suspended", "Degraded"]
ConditionStatus = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Verdict:
    """What an object of that kind is with that reason."""

    kind: str

    reason: str
    """Of the condition that decides: `Ready`, or `Enforced` of a Session that ended and is not off the router yet."""

    health: Health

    status: ConditionStatus = "False"
    """Of the same condition. Whatever is True is Healthy."""

    note: str = ""
    """What else tells this state from others, for people."""

    phase: str | None = None
    """`status.phase`, where the kind has it."""


def _all(
    kind: str,
    health: Health,
    reasons: str,
    status: ConditionStatus = "False",
    phase: str | None = None,
) -> list[Verdict]:
    """Return the same verdict for each of the reasons, once."""
    return [
        Verdict(kind, reason, health, status, phase=phase)
        for reason in dict.fromkeys(reasons.split())
    ]


_AWAY = (
    "ConnectionRefused ConnectTimeout NoRoute NoAnswer ConnectionLost "
    "NameNotResolved TunnelInterfaceGone HubNotCarried NoTunnelAddress "
    "NoPeer NeverConnected HandshakeTooOld HubNotFound"
)
"""The router, or the way to it, is not there at this moment."""

_INTERFACE = (
    "WireGuardNotAvailable NotPermitted InterfaceConflict ListenPortInUse "
    "KeyMismatch SecretNotUsable IsolationNotAvailable IsolationFailed "
    "WireGuardError InternalError NetworkConflict"
)
"""The node cannot carry the Hub."""

_PEER = (
    "DuplicateKey AddressConflict InvalidKey RefusedByInterface NotAccepted "
    "RouteRefused DefaultRouteRefused"
)
"""The Peer cannot be on the interface as it is."""

_TUNNEL = "Applying Deleted Down NotCarried SecretNotRead"
"""The Peer of the Device is not on the interface at this moment."""

_ROUTER = (
    "BadAddress LoginRefused SecretNotUsable CertificateNotTrusted "
    "CertificateForAnotherName CertificateExpired CertificateNotYetValid "
    "NoCertificate TLSFailed "
    "WrongRouter ForbiddenByDeviceMode DiskFull LicenseLimit "
    "VersionNotSupported NotSupported NotPermitted Contested NoPublicKey "
    "RefusedByRouter RouterError"
)
"""The router cannot be served as it is."""

_WARNINGS = (
    "TechnicalUserByHand TechnicalUserNotKept TechnicalUserRefused "
    "IPv6PastHotspot NoHotspot VersionNotTested NoSerialNumber InsecureTLS "
    "ConfigurationUndone ConfigurationUnconfirmed ConfigurationNotKept"
)
"""The router is served all the same."""

_OPERATOR = (
    "PoolExhausted TunnelAddressOutsideHub TunnelAddressConflict "
    "PeerNameTaken DuplicateRouterID"
)
"""The operator gives the Device no address or Peer."""

_UNREAD = (
    "ConnectionsNotRead HostsNotRead LoginsNotRead CookiesNotRead UsersNotRead"
)
"""The router does not print what would prove the state."""


def _dry_run(kind: str) -> list[Verdict]:
    """Return the verdicts on a Hub or Device that is in dry run: Ready tells whether it is as wanted."""
    return [
        Verdict(
            kind, "DryRun", "Healthy", "True", "there is nothing to write"
        ),
        Verdict(
            kind, "DryRun", "Suspended", note="something would be written"
        ),
    ]


_HUBS = [
    *_all("Hub", "Healthy", "Equal Changing", "True"),
    *_all("Hub", "Suspended", "Paused"),
    *_dry_run("Hub"),
    *_all("Hub", "Progressing", "NotLookedYet AgentLost", "Unknown"),
    *_all("Hub", "Progressing", "Down NotCarried SecretNotRead NoAnswer"),
    *_all("Hub", "Progressing", "CleanedUp"),
    *_all("Hub", "Degraded", _INTERFACE),
    *_all("Hub", "Degraded", "AddressRefused ForeignAddress MassRemoval"),
    *_all("Hub", "Degraded", "InvalidObject", "Unknown"),
]

_PEERS = [
    *_all("Peer", "Healthy", "Applied", "True"),
    *_all("Peer", "Suspended", "Paused DryRun"),
    *_all("Peer", "Progressing", "NotLookedYet AgentLost", "Unknown"),
    *_all("Peer", "Progressing", "Applying SecretNotRead EndpointNotResolved"),
    *_all("Peer", "Progressing", "Down NotCarried NoAnswer Deleted Removed"),
    *_all("Peer", "Degraded", f"{_PEER} {_INTERFACE}"),
    *_all("Peer", "Degraded", "InvalidObject", "Unknown"),
]

_DEVICES = [
    *_all("Device", "Healthy", f"Equal Changing {_WARNINGS}", "True"),
    *_dry_run("Device"),
    *_all("Device", "Suspended", "Paused"),
    *_all("Device", "Progressing", "NotLookedYet AgentLost", "Unknown"),
    *_all("Device", "Progressing", f"{_AWAY} {_TUNNEL} CleanedUp"),
    *_all(
        "Device",
        "Degraded",
        f"{_ROUTER} {_OPERATOR} {_PEER} {_INTERFACE} MassRemoval",
    ),
    *_all("Device", "Degraded", "InvalidObject", "Unknown"),
]

_SESSIONS = [
    *_all("Session", "Healthy", "Granted", "True", "Active"),
    *_all("Session", "Suspended", "Paused DryRun", phase="Pending"),
    *_all("Session", "Progressing", "NotLookedYet", "Unknown", "Pending"),
    *_all("Session", "Progressing", "DeviceNotFound", "Unknown", "Pending"),
    *_all("Session", "Progressing", "Granting Reopened", phase="Pending"),
    *_all("Session", "Progressing", f"{_AWAY} {_TUNNEL}", phase="Pending"),
    *_all(
        "Session",
        "Degraded",
        f"{_ROUTER} {_OPERATOR} {_PEER} {_INTERFACE}",
        phase="Pending",
    ),
    *_all("Session", "Degraded", "BlockedByHand ClockSkew", phase="Pending"),
    *_all(
        "Session",
        "Degraded",
        "AlreadyExists UserMadeByHand",
        phase="Pending",
    ),
    *_all("Session", "Degraded", "InvalidObject", "Unknown", "Pending"),
    *_all("Session", "Degraded", "RouterOffline NeverGranted", phase="Failed"),
    *_all("Session", "Degraded", "DeviceGone", phase="Failed"),
    *_all("Session", "Degraded", "DeviceGone", phase="Expired"),
    *_all("Session", "Healthy", "Expired", "True", "Expired"),
    *_all("Session", "Healthy", "Revoked", "True", "Revoked"),
    *_all("Session", "Progressing", f"Ending {_UNREAD}", phase="Expired"),
    *_all("Session", "Progressing", "ConnectTimeout", "Unknown", "Expired"),
    *_all("Session", "Degraded", "GrantedByHand", phase="Revoked"),
    *_all("Session", "Degraded", "WrongRouter", "Unknown", "Revoked"),
    *_all("Session", "Suspended", "DryRun", phase="Expired"),
]

_COMMANDS = [
    *_all("DeviceCommand", "Healthy", "Succeeded", "True", "Succeeded"),
    *_all("DeviceCommand", "Progressing", "Running", phase="Running"),
    *_all(
        "DeviceCommand",
        "Degraded",
        "NotAllowed ParameterNotUsable",
        phase="Denied",
    ),
    *_all(
        "DeviceCommand",
        "Degraded",
        "TooLate SecretNotFound VersionNotSupported",
        phase="Failed",
    ),
    *_all(
        "DeviceCommand",
        "Degraded",
        "SentenceRefused NoAnswer Interrupted",
        phase="Failed",
    ),
    *_all(
        "DeviceCommand",
        "Degraded",
        "DeviceNotFound DeviceGone",
        phase="Failed",
    ),
    *_all("DeviceCommand", "Degraded", "InvalidObject", "Unknown"),
]

VERDICTS = (*_HUBS, *_PEERS, *_DEVICES, *_SESSIONS, *_COMMANDS)
"""Every state that the code writes: a row in the docs, and an object in the tests."""

_BY_REASON = {
    (verdict.kind, verdict.reason): verdict.health
    for verdict in VERDICTS
    if verdict.status != "True"
}


def health_of(kind: str, reason: str, status: ConditionStatus) -> Health:
    """Return what an object is whose deciding condition has that reason and status.

    A reason that the table lacks is Progressing: it calls no person. The unit tests let no such reason pass.
    """
    if status == "True":
        return "Healthy"

    return _BY_REASON.get((kind, reason), "Progressing")

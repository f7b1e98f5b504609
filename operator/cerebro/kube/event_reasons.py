"""What is told by Kubernetes Events: reason, type, the kinds that it is about,
and the sentence. No process posts an Event that is not here. Pure.

docs/operating.md has the same list, with what to do. A trouble that a
condition names has the condition's reason; its Event is made by
`of_condition`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EventType = Literal["Normal", "Warning"]

HUB, DEVICE, PEER = "Hub", "Device", "Peer"
SESSION, COMMAND = "Session", "DeviceCommand"


@dataclass(frozen=True, slots=True)
class EventReason:
    """One thing that is told, in the fields of an Event of events.k8s.io/v1."""

    reason: str
    """Why it is told, in CamelCase."""

    kinds: tuple[str, ...]
    """The kinds of objects that it is told about."""

    action: str
    """What the process did that tells it, in CamelCase."""

    sentence: str
    """The note, for `str.format`: the values come with each Event."""

    type: EventType = "Normal"


# --- Sessions, told by the agent

GRANTED = EventReason(
    "Granted",
    (SESSION,),
    "Grant",
    "access is on the router of Device {device}, {until}",
)

REFUSED = EventReason(
    "Refused",
    (SESSION,),
    "Grant",
    "Device {device}: {reason}: {message}",
    "Warning",
)

NOT_GRANTED = EventReason(
    "NotGranted",
    (SESSION,),
    "Grant",
    "never let in by Device {device}: {reason}: {message}",
    "Warning",
)

EXPIRED = EventReason(
    "Expired",
    (SESSION,),
    "End",
    "access is off the router of Device {device}: {message}",
)

REVOKED = EventReason(
    "Revoked",
    (SESSION,),
    "End",
    "access is off the router of Device {device}: {message}",
)

NOT_ENDED = EventReason(
    "NotEnded",
    (SESSION,),
    "End",
    "access is still on the router of Device {device}: {reason}: {message}",
    "Warning",
)

# --- Devices and Hubs, told by the agent

ONLINE = EventReason(
    "Online", (DEVICE,), "Connect", "the router answers: {router}"
)

OFFLINE = EventReason(
    "Offline", (DEVICE,), "Connect", "{reason}: {message}", "Warning"
)

RECOVERED = EventReason(
    "Recovered",
    (HUB, DEVICE),
    "Compare",
    "{reason} is over: {message}",
)

SESSIONS_GRANTED = EventReason(
    "SessionsGranted",
    (DEVICE,),
    "Grant",
    "{count} Sessions got access in one pass",
)

SESSIONS_ENDED = EventReason(
    "SessionsEnded",
    (DEVICE,),
    "End",
    "the access of {count} Sessions ended in one pass",
)

DRIFT_REPAIRED = EventReason(
    "DriftRepaired", (HUB, DEVICE), "Repair", "{message}"
)

CONTESTED = EventReason(
    "Contested",
    (DEVICE,),
    "Compare",
    "somebody else keeps changing clients' rows on the router: an older relay that still runs, a script?",
    "Warning",
)

INTERFACE_UP = EventReason(
    "InterfaceUp",
    (HUB,),
    "Configure",
    "{interface} is up on node {node}, implementation {implementation}",
)

TAKEN_OVER = EventReason(
    "TakenOver",
    (HUB,),
    "Configure",
    "node {node} carries the Hub, in place of node {before}",
    "Warning",
)

# --- Peers and DeviceCommands, told by the agent

APPLIED = EventReason(
    "Applied",
    (PEER,),
    "Configure",
    "the peer is on the interface of Hub {hub}",
)

PEER_REFUSED = EventReason(
    "Refused", (PEER,), "Configure", "{reason}: {message}", "Warning"
)

COMMAND_SUCCEEDED = EventReason(
    "Succeeded", (COMMAND,), "Run", "Device {device}: {message}"
)

COMMAND_FAILED = EventReason(
    "Failed",
    (COMMAND,),
    "Run",
    "Device {device}: {reason}: {message}",
    "Warning",
)

COMMAND_DENIED = EventReason(
    "Denied",
    (COMMAND,),
    "Run",
    "Device {device}: {reason}: {message}",
    "Warning",
)

# --- told by the operator

AGENT_LOST = EventReason(
    "AgentLost", (HUB, DEVICE), "Watch", "{message}", "Warning"
)

AGENT_BACK = EventReason(
    "AgentBack", (HUB, DEVICE), "Watch", "its agent is back"
)

DEVICE_GONE = EventReason(
    "DeviceGone", (SESSION, COMMAND), "Finish", "{message}", "Warning"
)

FINALIZER_TIMEOUT = EventReason(
    "FinalizerTimeout",
    (HUB, DEVICE, PEER),
    "Finalize",
    "no agent reported its clean-up within {limit:.0f} s; what it left behind is to be removed by hand",
    "Warning",
)

FINALIZER_FORCED = EventReason(
    "FinalizerForced",
    (HUB, DEVICE, PEER),
    "Finalize",
    "let go because of its annotation, without clean-up; what it left behind is unknown from now on",
    "Warning",
)

FINALIZER_WITHOUT_HUB = EventReason(
    "HubNotFound",
    (PEER,),
    "Finalize",
    "let go without clean-up: its Hub does not exist any more",
    "Warning",
)

EVENTS = (
    GRANTED,
    REFUSED,
    NOT_GRANTED,
    EXPIRED,
    REVOKED,
    NOT_ENDED,
    ONLINE,
    OFFLINE,
    RECOVERED,
    SESSIONS_GRANTED,
    SESSIONS_ENDED,
    DRIFT_REPAIRED,
    CONTESTED,
    INTERFACE_UP,
    TAKEN_OVER,
    APPLIED,
    PEER_REFUSED,
    COMMAND_SUCCEEDED,
    COMMAND_FAILED,
    COMMAND_DENIED,
    AGENT_LOST,
    AGENT_BACK,
    DEVICE_GONE,
    FINALIZER_TIMEOUT,
    FINALIZER_FORCED,
    FINALIZER_WITHOUT_HUB,
)
"""All of them, but for those of `of_condition`."""


def of_condition(reason: str, kind: str, action: str) -> EventReason:
    """Return what tells a trouble of an object that its condition names with
    this reason.
    """
    return EventReason(reason, (kind,), action, "{message}", "Warning")

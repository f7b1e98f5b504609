"""The five kinds of `relay.cerebro.dev/v1alpha1`: models, names, values. Pure.

The other packages import from here. This package imports nothing of them, and knows no server, router or interface.
"""

from cerebro.resources.base import (
    API_GROUP,
    API_VERSION,
    GROUP_VERSION,
    ObjectMeta,
    OwnerReference,
    Reference,
    Resource,
    age_key,
    older,
)
from cerebro.resources.conditions import (
    Condition,
    find_condition,
    set_condition,
)
from cerebro.resources.device import Device, DeviceSpec, DeviceStatus
from cerebro.resources.device_command import (
    DeviceCommand,
    DeviceCommandSpec,
    DeviceCommandStatus,
)
from cerebro.resources.hub import Hub, HubSpec, HubStatus
from cerebro.resources.kinds import (
    DEVICE,
    DEVICE_COMMAND,
    FINISHED,
    HUB,
    KINDS,
    PEER,
    SESSION,
    UNFINISHED,
    Kind,
)
from cerebro.resources.naming import (
    label_value,
    place_of_order,
    session_name,
    supersession_name,
)
from cerebro.resources.peer import Peer, PeerSpec, PeerStatus
from cerebro.resources.session import (
    AppliedClient,
    Session,
    SessionClient,
    SessionSpec,
    SessionStatus,
)
from cerebro.resources.values import (
    format_duration,
    format_time,
    normalise_mac,
    parse_duration,
)

__all__ = [
    "API_GROUP",
    "API_VERSION",
    "DEVICE",
    "DEVICE_COMMAND",
    "FINISHED",
    "GROUP_VERSION",
    "HUB",
    "KINDS",
    "PEER",
    "SESSION",
    "UNFINISHED",
    "AppliedClient",
    "Condition",
    "Device",
    "DeviceCommand",
    "DeviceCommandSpec",
    "DeviceCommandStatus",
    "DeviceSpec",
    "DeviceStatus",
    "Hub",
    "HubSpec",
    "HubStatus",
    "Kind",
    "ObjectMeta",
    "OwnerReference",
    "Peer",
    "PeerSpec",
    "PeerStatus",
    "Reference",
    "Resource",
    "Session",
    "SessionClient",
    "SessionSpec",
    "SessionStatus",
    "age_key",
    "find_condition",
    "format_duration",
    "format_time",
    "label_value",
    "normalise_mac",
    "older",
    "parse_duration",
    "place_of_order",
    "session_name",
    "set_condition",
    "supersession_name",
]

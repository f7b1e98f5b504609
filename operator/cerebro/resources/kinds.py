"""The five kinds as data: their names, models, printed columns and selectable fields. Their only list. Pure.

A kind is compared by identity (`change.kind is DEVICE`): each exists once.
"""

from dataclasses import dataclass

from cerebro.resources.base import API_GROUP, Resource
from cerebro.resources.device import Device
from cerebro.resources.device_command import DeviceCommand
from cerebro.resources.hub import Hub
from cerebro.resources.peer import Peer
from cerebro.resources.session import Session


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`."""

    name: str

    json_path: str

    type: str = "string"

    priority: int = 0
    """1: shown with `-o wide` only."""

    @property
    def cell(self) -> str:
        """The key of its cell in a row of `KubeApi.list_cells`."""
        return self.name.lower()


@dataclass(frozen=True)
class Kind:
    """One kind: its names on the API server, its model, and what kubectl prints and selects."""

    kind: str

    plural: str

    singular: str

    short_names: tuple[str, ...]

    model: type[Resource]

    columns: tuple[Column, ...]

    selectable_fields: tuple[str, ...] = ()
    """Paths of the fields by which the API server selects objects."""

    @property
    def crd_name(self) -> str:
        """Return the name of its CustomResourceDefinition."""
        return f"{self.plural}.{API_GROUP}"


UNFINISHED = "status.finished!=true"
"""Field selector of Sessions and DeviceCommands that an agent still has to do something about."""

FINISHED = "status.finished=true"
"""Field selector of Sessions and DeviceCommands that are over."""


def _condition(type: str, field: str = "status") -> str:  # noqa: A002 the field's own name
    """Return the JSON path of a field of a condition."""
    return f'.status.conditions[?(@.type=="{type}")].{field}'


_READY = Column("Ready", _condition("Ready"))
_REASON = Column("Reason", _condition("Ready", "reason"))

# Our processes read these columns out of Tables: renaming one changes what they read.
UID_COLUMN = Column("UID", ".metadata.uid", priority=1)
DEVICE_COLUMN = Column("Device", ".spec.deviceRef.name")
SUPERSEDES_COLUMN = Column("Supersedes", ".spec.supersedes.name", priority=1)

_LAST = (Column("Age", ".metadata.creationTimestamp", "date"), UID_COLUMN)
"""The last columns of every kind."""

HUB = Kind(
    kind="Hub",
    plural="hubs",
    singular="hub",
    short_names=("hub",),
    model=Hub,
    columns=(
        _READY,
        _REASON,
        Column("Node", ".status.nodeName"),
        Column("Interface", ".spec.interface"),
        Column("Peers", ".status.peers.applied", "integer"),
        Column("Online", ".status.peers.online", "integer"),
        Column("Unknown", ".status.peers.unknown", "integer"),
        Column("Endpoint", ".spec.endpoint", priority=1),
        Column("Public Key", ".status.publicKey", priority=1),
        Column("Implementation", ".status.implementation", priority=1),
        *_LAST,
    ),
)
PEER = Kind(
    kind="Peer",
    plural="peers",
    singular="peer",
    short_names=("wgpeer",),
    model=Peer,
    columns=(
        _READY,
        Column("State", ".status.state"),
        Column("Hub", ".spec.hubRef.name"),
        DEVICE_COLUMN,
        Column("Allowed IPs", ".spec.allowedIPs"),
        Column("Accepted", _condition("Accepted"), priority=1),
        Column("Reason", _condition("Ready", "reason"), priority=1),
        Column("Endpoint", ".status.endpoint", priority=1),
        Column("Public Key", ".spec.publicKey", priority=1),
        *_LAST,
    ),
)
DEVICE = Kind(
    kind="Device",
    plural="devices",
    singular="device",
    short_names=("dev",),
    model=Device,
    columns=(
        _READY,
        _REASON,
        Column("Reachable", _condition("Reachable")),
        Column("Address", ".spec.api.address"),
        Column("Tunnel", ".status.tunnelAddress"),
        Column("Sessions", ".status.sessions.active", "integer"),
        Column("Pending", ".status.sessions.pending", "integer"),
        Column("Version", ".status.version"),
        Column("Hub", ".spec.hubRef.name", priority=1),
        Column("Board", ".status.board", priority=1),
        Column("Serial", ".status.serialNumber", priority=1),
        Column("Paused", ".spec.paused", priority=1),
        Column("Dry Run", ".spec.dryRun", "boolean", priority=1),
        *_LAST,
    ),
)
SESSION = Kind(
    kind="Session",
    plural="sessions",
    singular="session",
    short_names=("sess",),
    model=Session,
    columns=(
        DEVICE_COLUMN,
        Column("Client MAC", ".spec.client.macAddress"),
        Column("Type", ".spec.type"),
        Column("Phase", ".status.phase"),
        Column("Enforced", _condition("Enforced")),
        Column("Ends", ".status.expiresAt"),
        Column("Order", ".spec.orderID", priority=1),
        Column("Client IP", ".spec.client.ipAddress", priority=1),
        Column("Granted", ".status.authorizedAt", "date", priority=1),
        Column("Reason", _condition("Ready", "reason"), priority=1),
        SUPERSEDES_COLUMN,
        *_LAST,
    ),
    selectable_fields=(
        ".spec.deviceRef.name",
        ".spec.orderID",
        ".status.finished",
    ),
)
DEVICE_COMMAND = Kind(
    kind="DeviceCommand",
    plural="devicecommands",
    singular="devicecommand",
    short_names=("devcmd",),
    model=DeviceCommand,
    columns=(
        DEVICE_COLUMN,
        Column("Operation", ".spec.operation"),
        Column("Phase", ".status.phase"),
        Column("Reason", _condition("Ready", "reason")),
        Column("Started", ".status.startedAt", "date", priority=1),
        Column("Finished", ".status.finishedAt", "date", priority=1),
        *_LAST,
    ),
    selectable_fields=(".spec.deviceRef.name", ".status.finished"),
)

KINDS: dict[str, Kind] = {
    kind.kind: kind for kind in (HUB, PEER, DEVICE, SESSION, DEVICE_COMMAND)
}
"""The five kinds, by name."""

"""The model of a Hub: one WireGuard interface on one node, which routers dial. Pure.

Docstrings of models and fields are the descriptions in the CRD.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cerebro.resources.base import Reference, Resource, ResyncedStatus
from cerebro.resources.model import Spec, Status
from cerebro.resources.values import (
    DeletionPolicy,
    DurationBetween,
    Endpoint,
    InterfaceAddress,
    InterfaceName,
    ObjectName,
    Paused,
    Text,
    rule,
)


class HubSpec(Spec):
    """What the interface should be."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "has(self.nodeName) == has(oldSelf.nodeName) && "
                    "(!has(self.nodeName) || self.nodeName == oldSelf.nodeName)",
                    "nodeName cannot be changed: delete the Hub (deletionPolicy: Retain keeps the interface) "
                    "and make it again",
                    fieldPath=".nodeName",
                ),
                rule(
                    "self.interface == oldSelf.interface",
                    "interface cannot be changed: make another Hub and move its Devices",
                    fieldPath=".interface",
                ),
                rule(
                    "has(self.nodeName) || self.implementation != 'Kernel'",
                    "implementation: Kernel needs nodeName; a Hub without one moves between nodes, in "
                    "userspace: set nodeName, or write implementation: Auto",
                    fieldPath=".implementation",
                ),
            ]
        }
    )

    node_name: ObjectName | None = None
    """The node that carries it; none: one agent claims it by Lease, with failover, in userspace only."""

    interface: InterfaceName = "wg0"
    """The WireGuard interface; one name and one port belong to one Hub on a node."""

    listen_port: Annotated[int, Field(ge=1, le=65535)] = 51820
    """UDP port that routers dial."""

    mtu: Annotated[int, Field(ge=1280, le=65535)] = 1420
    """MTU of the interface."""

    addresses: Annotated[
        list[InterfaceAddress],
        Field(
            min_length=1,
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
    ]
    """The hub's own addresses with prefix length; their networks are the pool for Devices."""

    endpoint: Endpoint | None = None
    """host:port that routers dial."""

    private_key_secret_ref: Reference | None = None
    """Secret with the interface's key; default: <hub>-wireguard. Made when it does not exist."""

    implementation: Literal["Auto", "Kernel", "Userspace"] = "Auto"
    """Auto: the kernel's WireGuard where the Hub has a node and the kernel has it, else userspace."""

    unknown_peers: Literal["Keep", "Remove"] = "Keep"
    """What happens to peers that no Peer object asks for; kept ones are counted in status."""

    routes: Literal["Managed", "None"] = "Managed"
    """Managed: routes for allowed networks outside the pool are kept."""

    isolation: Literal["Strict", "None"] = "Strict"
    """Strict: peers reach neither each other nor the node."""

    resync_interval: Annotated[timedelta, DurationBetween("1s", "24h")] = (
        timedelta(seconds=60)
    )
    """How often everything is compared, whether or not something changed."""

    online_within: Annotated[timedelta, DurationBetween("150s", "24h")] = (
        timedelta(seconds=180)
    )
    """A handshake younger than this means online; at least 150s, a healthy tunnel's is up to 145 s old."""

    paused: Paused = "None"
    """Changes: nothing is written but ends of access; All: nothing is written at all."""

    deletion_policy: DeletionPolicy = "Retain"
    """Retain: the interface stays when the Hub is deleted; Cleanup: it is removed first."""


class HubPeers(Status):
    """How many peers."""

    desired: int | None = None
    """Asked for by Peer objects and accepted."""

    applied: int | None = None
    """Of those, on the interface."""

    online: int | None = None
    """Of those, with a recent handshake."""

    unknown: int | None = None
    """On the interface, asked for by no Peer object."""


class HubStatus(ResyncedStatus):
    """What the interface is."""

    public_key: Text | None = None
    """The interface's public key, for routers."""

    node_name: Text | None = None
    """The node that carries it now."""

    implementation: Literal["Kernel", "Userspace"] | None = None
    """What Auto came to."""

    peers: HubPeers | None = None
    """How many peers."""


class Hub(Resource):
    """One WireGuard interface on one node, which routers dial."""

    kind: str = "Hub"
    spec: HubSpec
    status: HubStatus = Field(default_factory=HubStatus)

    @property
    def private_key_secret_name(self) -> str:
        """Return the name of the Secret with the interface's key, with its default."""
        reference = self.spec.private_key_secret_ref

        return (
            reference.name
            if reference
            else default_private_key_secret(self.metadata.name)
        )


def default_private_key_secret(hub: str) -> str:
    """Return the name of the Secret with the key of a Hub of that name that names no Secret itself."""
    return f"{hub}-wireguard"

"""Which of two Hubs that would be in each other's way on one node stands back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cerebro.domain.conditions import Obstacle
from cerebro.resources import Hub
from cerebro.resources.base import older
from cerebro.wireguard.networks import interface_address


def conflict(hub: Hub, others: Iterable[Hub], carried: Collection[str] = ()) -> Obstacle | None:
    """Say what another Hub of the same node has that this one wants: interface, port or network.

    One that is `carried` here, by its UID, goes before one that is not: a Lease may bring an older one to a
    node whose interface has been a newer one's for long. Else the older one does.
    """
    spec = hub.spec
    for other in others:
        if other.metadata.uid == hub.metadata.uid or not _before(other, hub, carried):
            continue
        name = f"{other.namespace}/{other.name}"
        if other.spec.interface == spec.interface:
            return Obstacle(
                "InterfaceConflict",
                f"Hub {name} has interface {spec.interface} on this node: delete one of the two, or make this one "
                "again with another spec.interface",
            )
        if other.spec.listen_port == spec.listen_port:
            return Obstacle(
                "InterfaceConflict",
                f"Hub {name} has port {spec.listen_port} on this node: set another spec.listenPort",
            )
        if any(_overlap(one, two) for one in spec.addresses for two in other.spec.addresses):
            return Obstacle(
                "NetworkConflict",
                f"a network in spec.addresses overlaps with one of Hub {name} on this node: choose another one",
            )
    return None


def _before(one: Hub, other: Hub, carried: Collection[str]) -> bool:
    here, there = one.metadata.uid in carried, other.metadata.uid in carried
    return here if here != there else older(one, other)


def _overlap(one: str, other: str) -> bool:
    return interface_address(one)[2].overlaps(interface_address(other)[2])

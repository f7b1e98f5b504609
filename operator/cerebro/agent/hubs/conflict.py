"""Which of two Hubs that would be in each other's way on one node stands back.
Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cerebro.domain.conditions import Obstacle
from cerebro.resources import Hub
from cerebro.resources.base import older
from cerebro.wireguard.networks import interface_address


def conflict(
    hub: Hub, hubs: Iterable[Hub], carried: Collection[str] = ()
) -> Obstacle | None:
    """Return what another Hub of the same node has that this one wants; None
    if nothing is in the way.

    `hubs` are those of the node; `hub` itself may be among them. A Hub that is
    `carried` here, by its UID, goes before one that is not: a Lease may bring
    an older Hub to a node whose interface has been a newer Hub's for long. Of
    two that are both carried, or both not, the older one goes first.
    """
    for rival in hubs:
        if rival.metadata.uid == hub.metadata.uid:
            continue

        if not _goes_before(rival, hub, carried):
            continue

        obstacle = _obstacle(hub, rival)
        if obstacle is not None:
            return obstacle

    return None


def _obstacle(hub: Hub, rival: Hub) -> Obstacle | None:
    """Return what a rival has that a Hub wants: interface, port or network."""
    spec = hub.spec
    name = f"{rival.namespace}/{rival.name}"
    if rival.spec.interface == spec.interface:
        return Obstacle(
            "InterfaceConflict",
            f"Hub {name} has interface {spec.interface} on this node: delete one of the two, or make this one "
            "again with another spec.interface",
        )

    if rival.spec.listen_port == spec.listen_port:
        return Obstacle(
            "InterfaceConflict",
            f"Hub {name} has port {spec.listen_port} on this node: set another spec.listenPort",
        )

    if _networks_overlap(hub, rival):
        return Obstacle(
            "NetworkConflict",
            f"a network in spec.addresses overlaps with one of Hub {name} on this node: choose another one",
        )

    return None


def _goes_before(rival: Hub, hub: Hub, carried: Collection[str]) -> bool:
    rival_carried = rival.metadata.uid in carried
    hub_carried = hub.metadata.uid in carried
    if rival_carried != hub_carried:
        return rival_carried

    return older(rival, hub)


def _networks_overlap(hub: Hub, rival: Hub) -> bool:
    networks = [interface_address(text)[2] for text in hub.spec.addresses]
    rivals = [interface_address(text)[2] for text in rival.spec.addresses]

    return any(
        network.overlaps(theirs) for network in networks for theirs in rivals
    )

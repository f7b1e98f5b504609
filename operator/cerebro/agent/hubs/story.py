"""Tells the story of one Hub by Events: its interface came up, another node
took over, something on it was put right, and what keeps it from being Ready.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from cerebro.agent.troubles import Troubles, state_in
from cerebro.kube.event_reasons import (
    DRIFT_REPAIRED,
    INTERFACE_UP,
    TAKEN_OVER,
)
from cerebro.kube.events import Recorder
from cerebro.resources import Hub
from cerebro.wireguard.model import DesiredPeer, Interface, PeerChange

_INTERFACE_UP = "InterfaceUp"


class HubStory:
    """What was told of one Hub that this node carries, or tries to."""

    def __init__(self, recorder: Recorder, node: str) -> None:
        self._recorder = recorder
        self._node = node
        self._troubles = Troubles(recorder)
        self._up: str | None = None
        """The last status of InterfaceUp that was no Unknown."""

    def tell(self, hub: Hub, status: Mapping[str, Any]) -> None:
        """Post an Event for each part of a status that is news; `status` is
        written now, in the form of the API.
        """
        conditions = status["conditions"]
        is_first = self._up is None
        came_up = self._comes_up(hub, status)

        # Who carried it before, as the object says.
        before = hub.status.node_name
        if came_up and is_first and before not in (None, self._node):
            self._recorder.post(
                hub, TAKEN_OVER, node=self._node, before=before
            )

        if came_up:
            self._recorder.post(
                hub,
                INTERFACE_UP,
                interface=hub.spec.interface,
                node=self._node,
                implementation=status.get("implementation", "unknown"),
            )

        ready = state_in(conditions, "Ready")
        if ready is not None:
            self._troubles.tell(hub, ready)

    def _comes_up(self, hub: Hub, status: Mapping[str, Any]) -> bool:
        """Return whether the interface is up that was not, or was another
        node's.
        """
        state = state_in(status["conditions"], _INTERFACE_UP)
        if state is None or state.status == "Unknown":
            return False

        shown = hub.status.condition(_INTERFACE_UP)
        is_ours = hub.status.node_name == self._node
        before = self._up or (shown.status if shown and is_ours else None)
        self._up = state.status

        return state.status == "True" and before != "True"

    def repaired(self, hub: Hub, peers: int) -> None:
        """Post that so many peers were put right that nobody had asked to
        change.
        """
        if not peers:
            return

        message = f"{peers} peers on {hub.spec.interface} were missing or changed; they were put right"
        self._recorder.post(hub, DRIFT_REPAIRED, message=message)


def drifted(
    changes: Iterable[PeerChange],
    before: Mapping[str, DesiredPeer],
    desired: Mapping[str, DesiredPeer],
    actual: Interface,
    refused: Collection[str],
) -> int:
    """Return how many peers were changed that are desired as in the pass
    before, which had applied them. A peer that only moved is none of them.

    `before` and `desired` are by public key; `refused` are the keys whose
    change was not made.
    """
    keys = {
        change.public_key
        for change in changes
        if _concerns_more_than_endpoint(change, actual)
    }

    return sum(
        _same(before.get(key), desired.get(key)) for key in keys - set(refused)
    )


def _concerns_more_than_endpoint(
    change: PeerChange, actual: Interface
) -> bool:
    is_missing = change.public_key not in actual.peers
    if is_missing or change.replace_allowed_ips or change.allowed_ips:
        return True

    return (
        change.preshared_key is not None
        or change.persistent_keepalive is not None
    )


def _same(before: DesiredPeer | None, desired: DesiredPeer | None) -> bool:
    if before is None or desired is None:
        return False

    return (
        before.allowed_ips == desired.allowed_ips
        and before.preshared_key == desired.preshared_key
        and before.persistent_keepalive == desired.persistent_keepalive
    )

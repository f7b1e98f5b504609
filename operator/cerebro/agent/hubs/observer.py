"""What the loop of one Hub sees of its tunnels, and to whom it is told: the
statuses of the Peers, and the loops of the Devices behind them.

A pass brings the most; where none comes to an end, or may begin, a reading of
the interface by itself has to do. Decides no change of the interface.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from cerebro.agent.context import AgentContext
from cerebro.agent.handshakes import Contact
from cerebro.agent.hubs.observed import (
    UNSEEN,
    TunnelView,
    contacts_seen,
    routed_peers,
)
from cerebro.agent.hubs.peers.outcome import PeersOutcome
from cerebro.agent.hubs.peers.reporter import PeerReporter
from cerebro.agent.hubs.peers.status import out_of_sight
from cerebro.agent.hubs.status import failed_pass
from cerebro.domain.conditions import ConditionState, Obstacle
from cerebro.resources import Peer, reasons
from cerebro.runtime.clock import monotonic
from cerebro.runtime.threads import in_thread
from cerebro.wireguard import choose
from cerebro.wireguard.backend import Backend, WireGuardError
from cerebro.wireguard.model import Interface

_FIRST_LOOK_WITHIN = 10.0
"""Seconds in which the loop of a Hub looks for the first time, or cannot."""
_ONLINE_WITHIN = timedelta(seconds=180)  # behind a Hub that cannot be read
_NOT_FOUND = Obstacle(
    reasons.INVALID_OBJECT,
    "it cannot be read, and its interface is not on this node",
)


class Observer:
    """The tunnels of one Hub, as they were seen last."""

    def __init__(
        self, context: AgentContext, namespace: str, name: str
    ) -> None:
        self.view = UNSEEN
        """What the last look showed of the tunnels; replaced whole."""
        self._look_until = monotonic() + _FIRST_LOOK_WITHIN
        self._context = context
        self._namespace = namespace
        self._name = name
        self._peer_reporter = PeerReporter(context)

    def looked(self) -> bool:
        """Return whether anything is known of the tunnels, if only why they
        cannot be looked at; after a while that is taken to be so.
        """
        return self.view is not UNSEEN or monotonic() > self._look_until

    def hinder(self, obstacle: Obstacle | None) -> None:
        """Note what keeps everybody from a look at the interface; None:
        nothing does.
        """
        self.view = self.view.with_obstacle(obstacle)

    async def take(
        self,
        peers: PeersOutcome,
        interface: Interface,
        *,
        obstacle: Obstacle | None,
    ) -> None:
        """Take what a pass came to that compared the interface; `obstacle` is
        why a part of it failed.
        """
        contacts = peers.contacts
        if obstacle is not None:
            # A part is missing, perhaps the way to some of the Peers.
            routed = routed_peers(interface)
            contacts = {
                key: contact
                for key, contact in contacts.items()
                if key in routed
            }

        self.view = TunnelView(contacts, interface.peers)

        await self._peer_reporter.report(peers.reports)
        self._wake_devices()

    async def look(
        self, backends: Sequence[Backend], interface: object, key: object
    ) -> None:
        """Look who has a tunnel through an interface that is ours as its
        public key shows; change nothing.

        So the ends of access are enforced also behind a Hub that cannot be
        read (rule B9). Name and public key are as the Hub gives them, which
        may be anything.
        """
        obstacle: Obstacle | None = _NOT_FOUND
        carrier: tuple[Backend, Interface] | None = None
        if isinstance(interface, str):
            try:
                carrier = await in_thread(
                    partial(choose.find, backends, interface)
                )
            except (WireGuardError, TimeoutError) as error:
                obstacle = failed_pass(error).obstacle

        if carrier is None or key is None or carrier[1].public_key != key:
            self.hinder(obstacle)
            self.forget()

            return

        self.hinder(None)
        self.judge(carrier[1], _ONLINE_WITHIN)

    def judge(self, interface: Interface, online_within: timedelta) -> None:
        """Take what an interface shows of its Peers where no pass over it
        comes to an end.
        """
        contacts: Mapping[str, Contact] = contacts_seen(
            self._peers(),
            interface,
            self.view.contacts,
            time.time(),
            online_within,
        )

        self.view = TunnelView(contacts, interface.peers, self.view.obstacle)
        self._wake_devices()

    async def lose(self, applied: ConditionState) -> None:
        """Report on all Peers that the interface is gone or was not seen: no
        tunnel counts as up any more.

        `applied` is the condition Applied of all of them.
        """
        before = self.view.contacts
        self.view = self.view.out_of_sight(gone=applied.status == "False")
        self._wake_devices()
        await self._peer_reporter.report(
            (
                peer,
                out_of_sight(peer, before.get(peer.spec.public_key), applied),
            )
            for peer in self._peers()
        )

    def stand_by(self) -> None:
        """Forget all: another node carries the Hub, and when this node does,
        its first look is still to come.
        """
        self.forget()
        self.view = UNSEEN
        self._look_until = monotonic() + _FIRST_LOOK_WITHIN

    def forget(self) -> None:
        """Forget all tunnels: this node does not carry them any more."""
        if self.view.contacts:
            self.view = self.view.without_tunnels()
            self._wake_devices()

    def _wake_devices(self) -> None:
        self._context.tunnels.wake_devices(self._namespace, self._name)

    def _peers(self) -> list[Peer]:
        """Return the Peers of the Hub that can be read."""
        stored = self._context.peers_by_hub.get(self._namespace, self._name)
        peers = [each.read(Peer) for each in stored]

        return [peer for peer in peers if peer is not None]

"""What the loop of a Hub says of its Peers, and what it remembers of having said it.

A status goes to the writer when its meaning is not the one that the Store shows; one that was handed over has
some seconds to come back, once it was written.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from cerebro.agent.context import FIELD_MANAGER, AgentContext
from cerebro.agent.hubs.peers.status import PeerSaid, peer_status, said_of
from cerebro.kube.status_writer import Write
from cerebro.resources import PEER, Peer

_ROUND_TRIP = 10.0
_AT_ONCE = 100


class PeerReporter:
    """Statuses of the Peers of one Hub, by UID."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._written: dict[str, tuple[PeerSaid, float]] = {}

    async def report(self, said: Iterable[tuple[Peer, PeerSaid]]) -> None:
        """Have it written of all Peers that there are, unless the Store shows it or it is on its way.

        Lets others work in between.
        """
        present = set()
        for number, (peer, words) in enumerate(said):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            present.add(peer.metadata.uid)
            self._report(peer, words)
        for uid in self._written.keys() - present:
            del self._written[uid]

    def _report(self, peer: Peer, said: PeerSaid) -> None:
        uid = peer.metadata.uid
        if said == said_of(peer):
            self._written.pop(uid, None)
            return
        written, at = self._written.get(uid, (None, 0.0))
        now = time.monotonic()
        meta = peer.metadata
        if written == said and (
            now - at < _ROUND_TRIP or self._context.statuses.waits(PEER, meta.namespace, meta.name)
        ):
            return
        self._written[uid] = (said, now)
        status = peer_status(peer, said, datetime.now(UTC))
        self._context.statuses.put(Write(PEER, meta.namespace, meta.name, uid, status, FIELD_MANAGER))

"""Writes the statuses of the Peers of a Hub, and remembers which it wrote.

A status is handed to the writer if it does not mean what the Store shows. One
that was handed over and written has some seconds to come back through the
Store before it is handed over once more. What a status says is decided in
`status`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from cerebro.agent.context import FIELD_MANAGER, AgentContext
from cerebro.agent.hubs.peers.status import (
    PeerReport,
    peer_status,
    report_in_status,
)
from cerebro.kube.status_writer import Write
from cerebro.resources import PEER, Peer

_ROUND_TRIP = 10.0
"""Seconds that a written status may take to come back through the Store."""

_AT_ONCE = 100
"""Peers that are compared before other tasks get their turn."""


class PeerReporter:
    """Reports the Peers of one Hub."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._written: dict[str, tuple[PeerReport, float]] = {}
        """By UID: the last report that was handed over, and when (monotonic
        seconds).
        """

    async def report(self, reports: Iterable[tuple[Peer, PeerReport]]) -> None:
        """Write the status of each Peer, unless the Store shows it or it is on
        its way.

        `reports` must hold all Peers of the Hub: what was remembered of any
        other is forgotten. Other tasks get their turn in between.
        """
        present: set[str] = set()
        for number, (peer, report) in enumerate(reports):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

            present.add(peer.metadata.uid)
            self._report(peer, report)

        for uid in self._written.keys() - present:
            del self._written[uid]

    def _report(self, peer: Peer, report: PeerReport) -> None:
        uid = peer.metadata.uid
        if report == report_in_status(peer):
            self._written.pop(uid, None)
            return

        now = time.monotonic()
        if self._is_on_its_way(peer, report, now):
            return

        self._written[uid] = (report, now)
        status = peer_status(peer, report, datetime.now(UTC))
        write = Write(
            PEER, peer.namespace, peer.name, uid, status, FIELD_MANAGER
        )

        self._context.statuses.put(write)

    def _is_on_its_way(
        self, peer: Peer, report: PeerReport, now: float
    ) -> bool:
        """Return whether the same report waits to be written, or was written a
        moment ago.
        """
        written, at = self._written.get(peer.metadata.uid, (None, 0.0))
        if written != report:
            return False

        return now - at < _ROUND_TRIP or self._context.statuses.waits(
            PEER, peer.namespace, peer.name
        )

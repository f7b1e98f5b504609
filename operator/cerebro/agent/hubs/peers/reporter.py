"""Writes the statuses of the Peers of a Hub, and remembers which it wrote.

A status is handed to the writer if it does not mean what the Store shows. One
that was handed over and written has some seconds to come back through the
Store before it is handed over once more. One that would only say another
endpoint waits (rule E16): thousands of Peers may be behind a router that gives
them another port whenever they dial. What a status says is decided in
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
from cerebro.agent.hubs.peers.story import peer_news
from cerebro.kube.status_writer import Write
from cerebro.resources import PEER, Peer

_ROUND_TRIP = 10.0
"""Seconds that a written status may take to come back through the Store."""

_ENDPOINT_PAUSE = 300.0
"""Seconds between two writes for the sake of a Peer's endpoint alone; also
after the start, as who was here before may have written just now.
"""

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

        self._started = time.monotonic()
        self._endpoints_written: dict[str, float] = {}
        """By UID: when a status with an endpoint was handed over last
        (monotonic seconds).
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

        for uid in self._endpoints_written.keys() - present:
            del self._endpoints_written[uid]

    def _report(self, peer: Peer, report: PeerReport) -> None:
        uid = peer.metadata.uid
        now = time.monotonic()
        is_shown = report == report_in_status(peer)
        if is_shown and not self._endpoint_is_due(peer, report, now):
            self._written.pop(uid, None)
            return

        if self._is_on_its_way(peer, report, now):
            return

        before, _ = self._written.get(uid, (report_in_status(peer), 0.0))
        self._tell(peer, before, report)
        self._written[uid] = (report, now)
        if report.endpoint is not None:
            self._endpoints_written[uid] = now

        status = peer_status(peer, report, datetime.now(UTC))
        write = Write(
            PEER, peer.namespace, peer.name, uid, status, FIELD_MANAGER
        )

        self._context.statuses.put(write)

    def _tell(
        self, peer: Peer, before: PeerReport | None, report: PeerReport
    ) -> None:
        """Post an Event where a peer came on the interface or was refused."""
        news = peer_news(before, report)
        if news is None:
            return

        told, state = news
        self._context.recorder.post(
            peer,
            told,
            hub=peer.spec.hub_ref.name,
            reason=state.reason,
            message=state.message,
        )

    def _endpoint_is_due(
        self, peer: Peer, report: PeerReport, now: float
    ) -> bool:
        """Return whether a status is written only because the endpoint is
        another one.
        """
        shown = peer.status.endpoint
        if report.endpoint in (None, shown):
            return False

        written = self._endpoints_written.get(peer.metadata.uid)
        if written is None and shown is None:
            return True

        return now - (written or self._started) >= _ENDPOINT_PAUSE

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

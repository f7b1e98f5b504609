"""One pass after another over a simulated router in this process: no API server, no loop, and a say in between.

Statuses go from pass to pass as the agent would write them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cerebro.agent.devices.access.contention import ContentionTracker
from cerebro.agent.devices.access.desired import PassContext
from cerebro.agent.devices.access.outcome import (
    PassResult,
    granted_and_ended,
    session_obstacle,
)
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.roster import Roster
from cerebro.agent.devices.access.status import ended_status, live_status
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.resources import Device, Session, SessionStatus
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.access.result import EndingView
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.client.session import RouterSession
from simulator.router import Router
from simulator.simulator import Simulator

BINDING, LIST = "/ip/hotspot/ip-binding", "/ip/firewall/address-list"
DEVICE = Device.model_validate(
    {
        "metadata": {
            "name": "d",
            "namespace": "n",
            "uid": "d",
            "resourceVersion": "1",
            "generation": 1,
        },
        "spec": {
            "api": {
                "address": "127.0.0.1",
                "allowPlaintext": True,
                "credentialsSecretRef": {"name": "s"},
            }
        },
    }
)


def a_session(
    name: str,
    mac: str | None = None,
    ip: str | None = None,
    *,
    status: SessionStatus | None = None,
    generation: int = 1,
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> Session:
    """A Session as the API server would have it now."""
    client = {"macAddress": mac, "ipAddress": ip}
    return Session.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "n",
                "uid": name,
                "resourceVersion": "1",
                "generation": generation,
                "creationTimestamp": datetime.now(UTC).isoformat(),
                "labels": labels or {},
            },
            "spec": {
                "deviceRef": {"name": "d"},
                "client": {
                    key: value for key, value in client.items() if value
                },
                **spec,
            },
            "status": status.model_dump(
                mode="json", by_alias=True, exclude_none=True
            )
            if status
            else {},
        }
    )


class Between:
    """A RouterSession that lets something happen after commands were answered."""

    def __init__(
        self,
        session: RouterSession,
        after: Callable[[Sequence[Command]], object],
    ) -> None:
        self._session, self._after = session, after

    async def run_all(self, commands: Sequence[Command]) -> list[Reply | Trap]:
        replies = await self._session.run_all(commands)
        self._after(commands)
        return replies


@dataclass
class Passes:
    """Passes over one router."""

    router: Router
    session: RouterSession
    flows: dict[str, frozenset[str]] = field(default_factory=dict)
    contest: ContentionTracker = field(default_factory=ContentionTracker)
    removals: RemovalWindow = field(
        default_factory=lambda: RemovalWindow(settle=0.0)
    )
    now: float = 0.0
    after: Callable[[Sequence[Command]], object] = lambda _: None
    policy: AccessPolicy = field(default_factory=AccessPolicy)

    async def over(
        self,
        *sessions: Session,
        changed: Sequence[Session] | None = None,
        **at: Any,
    ) -> tuple[PassResult, dict[str, SessionStatus]]:
        """Pass over everything, or over the clients of `changed`; gives what was done and the statuses."""
        circumstances = {
            "now": datetime.now(UTC),
            "complete": True,
            "contested": self.contest.contested(self.now),
        }
        run = AccessReconciler(
            session=Between(self.session, self.after),  # type: ignore[arg-type]
            policy=self.policy,
            at=PassContext(**{**circumstances, "flows": self.flows, **at}),
            flows=self.flows,
            removals=self.removals,
        )
        outcome = await run.run(Roster.of(sessions), changed)
        granted, ended = granted_and_ended(outcome)
        self.contest.note(
            outcome.repaired,
            granted,
            ended,
            self.now,
            everything=changed is None,
        )
        return outcome, statuses(outcome)

    def rows(self, menu: str) -> list[dict[str, str]]:
        """The rows of a menu."""
        return [
            dict(row.values) for row in self.router.tables[menu].rows.values()
        ]

    def forwards(self, mac: str, flow: str | None = None) -> bool:
        """Send a packet of a client."""
        return (
            self.router.network.packet(mac, flow).forwarded
            if flow
            else self.router.network.packet(mac).forwarded
        )

    def forget_hosts(self) -> None:
        """Let all hosts and connections idle out."""
        hotspot, connections = (
            self.router.hotspot,
            self.router.network.connections,
        )
        for host in list(hotspot.hosts.rows.values()):
            hotspot.hosts.remove(host)
        for connection in list(connections.rows.values()):
            connections.remove(connection)


def statuses(outcome: PassResult) -> dict[str, SessionStatus]:
    """What the agent would say of each Session after a pass."""
    now = datetime.now(UTC)
    found = {}
    for one in outcome.judged:
        why = session_obstacle(DEVICE, outcome, one, contested=False)
        if one.verdict.live:
            view = outcome.plan.grants.get(one.grant) if one.grant else None
            found[one.session.metadata.name] = live_status(
                one.session, one.verdict, view, why, now
            )
        else:
            ending = (
                outcome.plan.endings.get(one.ending)
                if one.ending
                else EndingView(enforced=True)
            )
            found[one.session.metadata.name] = ended_status(
                one.session, one.verdict, ending, why, now
            )
    return found


@asynccontextmanager
async def passes(**options: Any) -> AsyncIterator[Passes]:
    """A router of its own, with a connection to it."""
    simulator = Simulator()
    await simulator.start()
    try:
        router = await simulator.add_router("r", **options)
        session = await connect(
            "127.0.0.1", router.port, [("cerebro", "secret")]
        )
        try:
            yield Passes(router, session)
        finally:
            await session.close()
    finally:
        await simulator.stop()

"""A Session that names another client than before (rules A2, A10, B2): the one that it has left goes out, whatever
the two are known by.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from cerebro.agent import metrics as agent_metrics
from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.desired import (
    PassContext,
    in_scope,
    judge_all,
    scope_of,
)
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.reporter import SessionReporter
from cerebro.agent.devices.access.roster import Roster
from cerebro.agent.router_metrics import RouterMetrics
from cerebro.kube.cache.store import Store
from cerebro.kube.status_writer import Write
from cerebro.resources import Session
from cerebro.routeros.access.model import AccessPolicy, Ending
from cerebro.routeros.access.read import Scope
from support.events import Events
from support.faked_router import FakedRouter
from support.tables import Tables

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
M, N = "AA:00:00:00:00:01", "AA:00:00:00:00:02"
X, Y, Z = "10.5.50.1", "10.5.50.2", "10.5.50.3"
Client = dict[str, str]


class World:
    """A router, one Session, and the statuses as the API server would have merged them."""

    def __init__(self) -> None:
        self.tables, self.flows = Tables(), dict[str, frozenset[str]]()
        self.status: dict[str, Any] = {}
        self.generation = 0
        self.phones: dict[str, str] = {}  # address by MAC

    def send_packets(self) -> None:
        """Have a host for each phone, as its packets make one: by the binding that there is."""
        self.tables.hosts.clear()
        for mac, ip in self.phones.items():
            bypassed = "true" if {mac, ip} & set(self.bound()) else "false"
            self.tables.put(
                "hosts", mac_address=mac, address=ip, bypassed=bypassed
            )

    async def ask(
        self, client: Client, *, everything: bool = False, **spec: Any
    ) -> None:
        """Change the Session, and pass over the router as its loop would."""
        self.generation += 1
        for _ in range(2):
            self.send_packets()
            await self.look(client, everything=everything, **spec)

    async def look(
        self, client: Client, *, everything: bool, **spec: Any
    ) -> None:
        session = a_session(client, self.status, self.generation, **spec)
        at = PassContext(NOW, complete=True, flows=self.flows)
        run = AccessReconciler(
            FakedRouter(self.tables).session,
            AccessPolicy(),
            at,
            flows=self.flows,
        )
        outcome = await run.run(
            Roster.of([session]), None if everything else [session]
        )
        reports = SessionReporter(cast(AgentContext, self))
        for one in outcome.judged:
            reports.report(one, outcome.plan, None)

    def bound(self) -> list[str]:
        return [
            row.get("mac-address") or row["address"]
            for row in self.tables.bindings
        ]

    def listed(self) -> list[str]:
        return [row["address"] for row in self.tables.lists]

    # --- what stands in for the agent's context

    @property
    def statuses(self) -> World:
        return self

    metrics = agent_metrics
    router_metrics = RouterMetrics(Store())
    recorder = Events()

    def put(self, write: Write) -> None:
        self.status = merged(self.status, write.status)


def merged(old: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """What a merge patch makes of an object."""
    new = dict(old)
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = (
                merged(old.get(name, {}), value)
                if isinstance(value, dict)
                else value
            )
    return new


def a_session(
    client: Client,
    status: dict[str, Any] | None = None,
    generation: int = 1,
    **spec: Any,
) -> Session:
    body = {
        "metadata": {
            "name": "s",
            "namespace": "ns",
            "uid": "u",
            "generation": generation,
        },
        "spec": {"deviceRef": {"name": "r1"}, "client": client} | spec,
        "status": status or {},
    }
    return Session.model_validate(body)


@pytest.mark.parametrize(
    "everything", [False, True], ids=["its clients only", "everything"]
)
@pytest.mark.parametrize(
    "before",
    [{"ipAddress": X}, {"macAddress": M, "ipAddress": X}, {"macAddress": M}],
)
@pytest.mark.parametrize(
    "after",
    [{"ipAddress": Y}, {"macAddress": N, "ipAddress": Y}, {"macAddress": N}],
)
async def test_b2_another_client_is_let_in_and_the_one_before_goes(
    before: Client, after: Client, everything: bool
) -> None:
    world = World()
    world.phones[M] = X
    world.phones[N] = Y
    await world.ask(before, everything=everything)
    assert (world.bound(), world.status["phase"]) == ([M], "Active")
    await world.ask(after, everything=everything)
    assert (world.bound(), world.listed()) == ([N], [Y])
    applied = world.status["applied"]
    assert (applied["macAddress"], applied["ipAddress"]) == (N, Y)
    assert a_session(after, world.status).placed is not None


@pytest.mark.parametrize(
    "after", [{"ipAddress": Y}, {"macAddress": N, "ipAddress": Y}]
)
async def test_b2_an_address_that_was_never_pinned_is_left_at_once(
    after: Client,
) -> None:
    world = World()
    await world.ask({"ipAddress": X})
    assert (world.bound(), world.listed()) == ([X], [X])
    await world.ask(after)
    assert (world.bound(), world.listed()) == (
        [after.get("macAddress", Y)],
        [Y],
    )


async def test_b2_who_had_an_address_and_has_none_pinned_now_keeps_no_mac_of_another() -> (
    None
):
    """In the status too: a merge patch leaves what it does not name."""
    world = World()
    world.phones[M] = X
    await world.ask({"ipAddress": X})
    await world.ask({"ipAddress": Y})
    assert world.status["applied"] == {"ipAddress": Y, "pinnedFor": Y}
    assert world.bound() == [Y]


async def test_b2_a_pinned_client_that_has_moved_stays_pinned_and_its_revoke_finds_it() -> (
    None
):
    world = World()
    world.phones[M] = X
    await world.ask({"ipAddress": X})
    world.phones[M] = Z
    await world.ask({"ipAddress": X}, everything=True)
    assert (world.bound(), world.listed()) == ([M], [Z])
    await world.ask({"ipAddress": X}, revoked=True)
    assert (world.bound(), world.listed()) == ([], [])
    assert world.status["finished"] is True


async def test_b2_the_same_phone_at_an_address_that_the_spec_names_now_keeps_access() -> (
    None
):
    world = World()
    world.phones[M] = X
    await world.ask({"ipAddress": X})
    row = world.tables.bindings[0][".id"]
    world.phones[M] = Y
    await world.ask({"ipAddress": Y})
    assert (world.bound(), world.listed()) == ([M], [Y])
    assert world.tables.bindings[0][".id"] == row


async def test_b1_the_client_left_and_the_one_that_is_ended_have_their_connections_apart() -> (
    None
):
    """Neither has a MAC: what one had running at its end says nothing of the other."""
    status: dict[str, Any] = {
        "phase": "Active",
        "authorizedAt": NOW.isoformat(),
        "applied": {"ipAddress": X, "pinnedFor": X},
    }
    world = World()
    world.status = status
    for ip in (X, Y):
        world.tables.put(
            "connections",
            src_address=f"{ip}:1000",
            dst_address="192.0.2.1:443",
        )
    await world.ask({"ipAddress": Y}, revoked=True)
    assert world.tables.connections == []
    assert world.status["finished"] is True


async def test_a_session_that_names_no_client_any_more_ends_the_one_that_it_had() -> (
    None
):
    world = World()
    world.phones[M] = X
    await world.ask({"macAddress": M})
    await world.ask({}, hotspotUser={"name": "guest"})
    assert world.bound() == []
    assert world.status["conditions"][0]["reason"] == "Granting"


def test_a10_the_client_left_is_looked_at_with_the_new_one() -> None:
    """A superseding Session changes the client without a new generation of this one."""
    there = {"macAddress": M, "ipAddress": X, "pinnedFor": X}
    session = a_session(
        {"ipAddress": Y}, {"applied": there, "observedGeneration": 1}
    )
    scope = scope_of([session])
    assert scope == Scope(frozenset({M}), frozenset({X, Y}))
    assert in_scope(session, scope_of([a_session({"macAddress": M})]))
    (judged,) = judge_all([session], None, AccessPolicy(), PassContext(NOW))
    assert judged.former == Ending(M, frozenset({X}), revoked=False)
    assert judged.grant is not None
    assert (judged.grant.mac, judged.grant.ip) == (None, Y)

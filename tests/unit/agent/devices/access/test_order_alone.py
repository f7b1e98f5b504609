"""A revoke that names an order alone (rule A4), as the agent sees it: a Session without a client, and the rows that the
older relay made for its order. Case T6. The router is faked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cerebro.agent.devices.access.desired import (
    PassContext,
    revoked_alone,
    scope_of,
)
from cerebro.agent.devices.access.outcome import PassResult
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.roster import Roster
from cerebro.agent.devices.access.status import ended_status
from cerebro.resources import Session, SessionStatus
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.client.command import Command
from support.faked_router import FakedRouter
from support.tables import Tables

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
M, N = "AA:00:00:00:00:01", "AA:00:00:00:00:02"
X, Y = "10.5.50.1", "10.5.50.2"


def a_session(name: str, **spec: Any) -> Session:
    return Session.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "ns",
                "uid": name,
                "generation": 1,
                "creationTimestamp": NOW.isoformat(),
            },
            "spec": {"deviceRef": {"name": "r1"}, **spec},
        }
    )


def order_alone(order: str = "P-1") -> Session:
    return a_session("record", orderID=order, revoked=True)


def a_router() -> FakedRouter:
    tables = Tables()
    for mac, ip, order in ((M, X, "P-1"), (N, Y, "P-2")):
        tables.put(
            "bindings",
            mac_address=mac,
            type="bypassed",
            comment=f"pedido:{order}",
        )
        tables.put(
            "lists",
            list="paid_clients",
            address=ip,
            comment=f"pedido:{order}",
        )
        tables.put("hosts", mac_address=mac, address=ip, bypassed="true")
    return FakedRouter(tables)


async def look(
    router: FakedRouter, asked: Session, *others: Session
) -> PassResult:
    run = AccessReconciler(
        router.session, AccessPolicy(), PassContext(NOW, complete=True)
    )
    return await run.run(Roster.of([asked, *others]), [asked])


def status_of(outcome: PassResult) -> SessionStatus:
    (one,) = [each for each in outcome.judged if each.session.name == "record"]
    assert one.ending is not None
    view = outcome.plan.endings[one.ending]
    return ended_status(one.session, one.verdict, view, None, NOW)


async def test_a4_a_session_without_a_client_ends_the_rows_of_its_order() -> (
    None
):
    router = a_router()
    outcome = await look(router, order_alone())
    assert outcome.settled
    assert status_of(outcome).finished
    tables = router.tables
    assert [row["mac-address"] for row in tables.bindings] == [N]
    assert [row["address"] for row in tables.lists] == [Y]
    assert [row["mac-address"] for row in tables.hosts] == [N]


async def test_a4_the_session_that_the_client_has_now_is_looked_at_too() -> (
    None
):
    """The rows name the client; its live Session takes them over."""
    router = a_router()
    live = a_session("live", client={"macAddress": M}, orderID="P-3")
    outcome = await look(router, order_alone(), live)
    assert {each.session.name for each in outcome.judged} == {"record", "live"}
    assert status_of(outcome).finished
    assert [row["mac-address"] for row in router.tables.bindings] == [M, N]
    assert router.tables.bindings[0]["comment"].startswith("cerebro:main:")


async def test_a4_an_order_without_rows_is_ended_by_one_look() -> None:
    router, batches = a_router(), list[Sequence[Command]]()
    router.before = batches.append
    outcome = await look(router, order_alone("P-9"))
    assert status_of(outcome).finished
    assert router.written == []
    assert not [
        command
        for batch in batches
        for command in batch
        if command.path.endswith("connection")
    ]


def test_a4_only_a_revoked_session_without_a_client_is_an_order_alone() -> (
    None
):
    assert revoked_alone(order_alone()) == "P-1"
    assert scope_of([order_alone()]).comments == {"pedido:P-1", "paid:P-1"}
    named = {"client": {"ipAddress": X}, "orderID": "P-1", "revoked": True}
    user = {"hotspotUser": {"name": "u"}, "orderID": "P-1"}
    for spec in (named, user, {"revoked": True}):
        assert revoked_alone(a_session("s", **spec)) is None

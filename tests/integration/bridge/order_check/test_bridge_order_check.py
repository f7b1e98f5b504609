"""The order check in a running bridge: calls and events, health, and a database that goes and comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from integration.bridge.agent import Agent
from integration.bridge.backend import FakeBackend, event
from integration.bridge.caller import HERE, Caller
from integration.bridge.order_check.conftest import QUERY
from integration.bridge.process import TOKEN, BridgeProcess
from support.postgres_server import PASSWORD, PostgresServer

Start = Callable[..., BridgeProcess]


@pytest.fixture
async def router(agent: Agent) -> AsyncIterator[None]:
    """An agent that grants and ends at once."""
    agent.make_device("router-1", router_id="R1")
    work = asyncio.create_task(agent.work())
    yield
    work.cancel()


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    fake = FakeBackend()
    fake.until_up()
    yield fake
    fake.stop()


@pytest.fixture
def start(start_bridge: Start, orders: PostgresServer) -> Start:
    """Call it to start a bridge with an order check."""

    def with_check(**environment: str) -> BridgeProcess:
        check = {
            "RELAY_DATABASE_URL": orders.url,
            "RELAY_DB_SSL": "0",
            "CEREBRO_ORDER_QUERY": QUERY,
        }
        return start_bridge(**{**check, **environment})

    return with_check


async def checked_by_now(caller: Caller) -> dict[str, float]:
    """Return how many orders the database was asked about, by its answer."""
    answer = await caller.get("/metrics", **{"x-relay-token": TOKEN})
    prefix = 'relay_order_checks_total{result="'
    lines = [
        line.removeprefix(prefix).split('",service="relay-cerebro"} ')
        for line in answer.text.splitlines()
        if line.startswith(prefix)
    ]
    return {result: float(count) for result, count in lines}


async def standing(caller: Caller) -> str:
    answer = await caller.get("/relay/status", **{"x-relay-token": TOKEN})
    return str(answer.json()["orderCheck"])


@pytest.mark.usefixtures("router")
async def test_only_paid_orders_are_let_in_and_open_ones_are_not_asked_about(
    start: Start, agent: Agent, add: Callable[..., None]
) -> None:
    add("P-1", ends_at="2099-01-01 12:00")
    add("P-2", "OPEN")
    add("P-3", ip="10.5.50.33", mac="AA:BB:CC:DD:EE:33")
    async with Caller(start()) as caller:
        await caller.until_complete()
        assert await standing(caller) == "ok"

        paid = await caller.until_confirmed.authorize("P-1")
        assert paid.status_code == 200, paid.text
        end = agent.session("P-1").spec.expires_at
        assert end is not None
        assert end.isoformat() == "2099-01-01T12:00:00+00:00"
        asked = await checked_by_now(caller)
        for _ in range(3):
            await caller.until_confirmed.authorize("P-1")
        assert await checked_by_now(caller) == asked

        refused = await caller.authorize("P-2")
        assert refused.status_code == 402, refused.text
        assert refused.json()["code"] == "order_not_paid"
        refused = await caller.authorize("P-9")
        assert refused.status_code == 404
        assert refused.json()["code"] == "order_unknown"

        by_row = await caller.until_confirmed.authorize(
            "P-3", deviceToken="nobody-said-hello"
        )
        assert by_row.status_code == 200, by_row.text
        assert by_row.json()["mac"] == "AA:BB:CC:DD:EE:33"
        assert {one.spec.order_id for one in agent.sessions()} == {
            "P-1",
            "P-3",
        }


@pytest.mark.usefixtures("router")
async def test_events_are_checked_and_their_acks_say_why(
    start: Start,
    agent: Agent,
    backend: FakeBackend,
    add: Callable[..., None],
) -> None:
    add("order-paid")
    add("order-open", "OPEN")
    async with Caller(start(**backend.environment)) as caller:
        await caller.until_complete()
        names = ("paid", "open", "lost")
        backend.offer(*(event(name) for name in names))
        acks = {name: await backend.until_acked(name) for name in names}
    assert acks["paid"]["ok"] is True
    reasons = [acks[name]["payload"]["reason"] for name in names[1:]]
    assert reasons == ["order_not_paid", "order_unknown"]
    assert [one.spec.order_id for one in agent.sessions()] == ["order-paid"]


@pytest.mark.usefixtures("router")
async def test_a_database_that_is_away_keeps_orders_and_comes_back(
    start: Start,
    agent: Agent,
    orders: PostgresServer,
    add: Callable[..., None],
) -> None:
    add("P-1")
    process = start()
    async with Caller(process) as caller:
        await caller.until_complete()
        orders.stop()
        refused = await caller.authorize("P-1")
        assert refused.status_code == 503, refused.text
        body = refused.json()
        assert (body["code"], body["pending"]) == (
            "order_check_unavailable",
            True,
        )
        assert await standing(caller) == "failed"
        health = (await caller.get("/health")).json()
        assert health["status"] == "degraded"
        assert (await caller.get("/health/ready")).status_code == 200
        assert agent.sessions() == []

        # What needs no check goes on, for the same client too.
        ended = await caller.until_confirmed.revoke(mac=HERE["macAtual"])
        assert ended.status_code == 200, ended.text

        orders.start()
        await caller.until_carried_out()
        await caller.until_complete()
        assert PASSWORD not in process.output() + json.dumps(body)


@pytest.mark.usefixtures("router")
async def test_where_it_is_allowed_orders_are_granted_while_it_is_away(
    start: Start, agent: Agent, orders: PostgresServer
) -> None:
    orders.stop()
    process = start(CEREBRO_ORDER_QUERY_AWAY="allow")
    async with Caller(process) as caller:
        await caller.until_up()
        answer = await caller.until_confirmed.authorize("P-1")
        while answer.status_code == 503:
            answer = await caller.until_confirmed.authorize("P-1")
        assert answer.status_code == 200, answer.text
    assert "granted unchecked" in process.output()


def test_a_query_that_cannot_be_used_ends_the_start(start: Start) -> None:
    process = start(
        CEREBRO_ORDER_QUERY="SELECT 1 AS paid WHERE %(order_id)s <> ''"
    )
    assert process.wait() == 2
    assert (
        "cerebro: CEREBRO_ORDER_QUERY: the column paid must be a boolean"
        in process.output()
    )
    assert PASSWORD not in process.output()

"""The records of access: each grant and each end once, whoever made the Session and whatever is away meanwhile.

Real: bridge, API server, Redis, PostgreSQL. The test plays the agents of the routers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import pytest

from integration.bridge import records
from integration.bridge.agent import Agent
from integration.bridge.caller import IP, MAC, Caller, eventually
from integration.bridge.process import BridgeProcess
from support.postgres_server import PostgresServer
from support.redis_server import KEEPS_ALL, RedisServer

StartBridge = Callable[..., BridgeProcess]
RECORDS_WAITING = 'relay_records_waiting{service="relay-cerebro"}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "records" / "access.jsonl"


@pytest.fixture
async def working(agent: Agent) -> AsyncIterator[Agent]:
    """A router `router-1` (R1) that does all at once."""
    agent.make_device("router-1", router_id="R1")
    work = asyncio.create_task(agent.work())
    yield agent
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def test_grant_and_end_are_recorded_as_the_status_says(
    start_bridge: StartBridge, working: Agent, file: Path, order_id: str
) -> None:
    process = start_bridge(**records.to_file(file))
    async with Caller(process) as caller:
        await caller.until_complete()
        answer = await caller.until_confirmed.authorize(order_id)
        assert answer.status_code == 200, answer.text
        await eventually(lambda: records.kinds(file, order_id) == ["grant"])
        granted = working.session(order_id)
        await caller.until_confirmed.revoke(pedidoId=order_id, mac=MAC)
        await eventually(
            lambda: records.kinds(file, order_id) == ["grant", "end"]
        )

    grant, end = records.of_order(file, order_id)
    assert grant["until"] is grant["reason"] is None
    assert (
        datetime.fromisoformat(grant["from"]) == granted.status.authorized_at
    )
    for record in grant, end:
        assert record["mac"] == MAC
        assert record["ip"] == IP
        assert (record["router"], record["device"]) == ("R1", "router-1")
        assert record["session"] == granted.name
        assert record["sessionUid"] == granted.metadata.uid
        assert record["madeBy"] == "bridge"
        assert record["from"] == grant["from"]
        assert record["id"] == grant["id"]
    assert end["reason"] == "Revoked"
    assert end["until"] >= end["from"]


async def test_sessions_of_others_are_recorded_also_while_no_bridge_runs(
    start_bridge: StartBridge, working: Agent, file: Path
) -> None:
    def make(name: str, **spec: object) -> None:
        working.apply(
            "Session",
            name,
            {
                "deviceRef": {"name": "router-1"},
                "orderID": name,
                "client": {"macAddress": MAC},
                **spec,
            },
        )

    async def until_finished(*names: str) -> None:
        await eventually(
            lambda: (
                {
                    each.name
                    for each in working.sessions()
                    if each.status.finished
                }
                >= set(names)
            )
        )

    process = start_bridge(**records.to_file(file))
    async with Caller(process) as caller:
        await caller.until_complete()
        for name in ("one", "gone", "lasting"):
            make(name)
        for name in ("one", "gone", "lasting"):
            await eventually(lambda name=name: records.kinds(file, name))  # type: ignore[misc]
        process.kill()

        # It ended, was deleted, or was granted and ended, and nobody looked.
        make("one", revoked=True)
        working.kubectl("delete", "session", "gone")
        make("unseen")
        await eventually(
            lambda: working.session("unseen").status.phase == "Active"
        )
        make("unseen", revoked=True)
        await until_finished("one", "unseen")

        process.restart()
        await caller.until_complete()
        both = ["grant", "end"]
        for name in ("one", "gone", "unseen"):
            await eventually(
                lambda name=name: records.kinds(file, name) == both  # type: ignore[misc]
            )

        # A second start tells nothing twice.
        process.kill()
        process.restart()
        await caller.until_complete()
        make("last")
        await eventually(lambda: records.kinds(file, "last"))

    ends = {
        each["order"]: each["reason"]
        for each in records.in_file(file)
        if each["kind"] == "end"
    }
    assert ends == {"one": "Revoked", "gone": "Deleted", "unseen": "Revoked"}
    assert records.kinds(file, "lasting") == ["grant"]
    names = [(each["id"], each["kind"]) for each in records.in_file(file)]
    assert len(names) == len(set(names)) == 8
    assert {each["madeBy"] for each in records.in_file(file)} == {"other"}


async def test_a_restart_loses_and_repeats_nothing(
    start_bridge: StartBridge, working: Agent, file: Path
) -> None:
    process = start_bridge(**records.to_file(file))
    orders = [f"P-{number}" for number in range(12)]
    async with Caller(process) as caller:
        await caller.until_complete()
        for number, order in enumerate(orders):
            mac = f"AA:BB:CC:DD:EE:{number:02X}"
            answer = await caller.until_confirmed.authorize(
                order, macAtual=mac
            )
            assert answer.status_code == 200, answer.text
            if number % 3 == 2:  # with the records of this one on their way
                process.kill()
                process.restart()
                await caller.until_complete()
        for order in orders:
            await eventually(
                lambda order=order: records.kinds(file, order) == ["grant"]  # type: ignore[misc]
            )
    assert len(records.in_file(file)) == len(orders)


async def test_a_postgresql_that_is_away_gets_all_when_it_is_back(
    start_bridge: StartBridge, working: Agent, tmp_path: Path
) -> None:
    with PostgresServer(tmp_path) as server:
        process = start_bridge(**records.to_postgres(server))
        environment = records.to_postgres(server)
        async with Caller(process) as caller:
            await caller.until_complete()
            await caller.until_confirmed.authorize("P-1")
            await eventually(lambda: _rows(server) == [("P-1", True)])

            server.stop()
            await caller.until_confirmed.revoke(pedidoId="P-1", mac=MAC)
            other = "AA:BB:CC:DD:EE:02"
            await caller.until_confirmed.authorize("P-2", macAtual=other)
            await caller.until_shown(f"{RECORDS_WAITING} 2.0")
            process.kill()
            process.restart()
            await caller.until_complete()
            server.start()
            await eventually(
                lambda: _rows(server) == [("P-1", False), ("P-2", True)]
            )
            await caller.until_shown(f"{RECORDS_WAITING} 0.0")

        shown = records.command(environment, "show", "--mac", MAC.lower())
        (row,) = [json.loads(line) for line in shown.splitlines()]
        assert (row["order_id"], row["end_reason"]) == ("P-1", "Revoked")
        erased = records.command(environment, "erase", "--order", "P-1")
        assert erased == "erased: 1\n"
        assert _rows(server) == [("P-2", True)]


def _rows(server: PostgresServer) -> list[tuple[str, bool]]:
    """The orders in the table, and whether each has access."""
    return [
        (order, ended_at is None)
        for order, ended_at in server.run(
            "SELECT order_id, ended_at FROM cerebro_access ORDER BY order_id"
        )
    ]


async def test_records_are_erased_while_the_bridge_writes(
    start_bridge: StartBridge, working: Agent, file: Path
) -> None:
    environment = records.to_file(file)
    process = start_bridge(**environment)
    async with Caller(process) as caller:
        await caller.until_complete()
        await caller.until_confirmed.authorize("P-1")
        await eventually(lambda: records.kinds(file, "P-1"))
        assert records.command(environment, "show", "--ip", IP).count(
            "\n"
        ) == len(records.in_file(file))
        erased = records.command(environment, "erase", "--mac", MAC)
        assert erased == "erased: 1\n"
        other = "AA:BB:CC:DD:EE:02"
        await caller.until_confirmed.authorize("P-2", macAtual=other)
        await eventually(lambda: records.kinds(file, "P-2") == ["grant"])
    assert records.kinds(file, "P-1") == []


async def test_two_bridges_on_a_redis_record_each_access_once(
    start_bridge: StartBridge, working: Agent, file: Path, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path, *KEEPS_ALL)
    environment = {
        "RELAY_STORE": "redis",
        "REDIS_URL": redis.url,
        **records.to_file(file),
    }
    try:
        first, second = (start_bridge(**environment) for _ in "ab")
        async with Caller(first) as one, Caller(second) as two:
            await one.until_complete()
            await two.until_complete()
            for number, caller in enumerate((one, two) * 3):
                mac = f"AA:BB:CC:DD:EE:{number:02X}"
                await caller.until_confirmed.authorize(
                    f"P-{number}", macAtual=mac
                )
            await eventually(lambda: len(records.in_file(file)) >= 6)

            # Whoever records, the other one goes on.
            first.kill()
            await two.until_confirmed.authorize(
                "P-6", macAtual="AA:BB:CC:DD:EE:06"
            )
            await eventually(lambda: records.kinds(file, "P-6"))
            first.restart()
            await one.until_complete()
            second.kill()
            await one.until_confirmed.revoke(
                pedidoId="P-0", mac="AA:BB:CC:DD:EE:00"
            )
            await eventually(lambda: len(records.kinds(file, "P-0")) == 2)
    finally:
        redis.stop()
    told = [(each["order"], each["kind"]) for each in records.in_file(file)]
    assert sorted(told) == sorted(
        [("P-0", "end"), *((f"P-{number}", "grant") for number in range(7))]
    )

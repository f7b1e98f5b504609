"""The session against the simulator, a program that shares no code with it: both only know the protocol."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.errors import (
    ConnectionLost,
    LoginRefused,
    Stalled,
    Trap,
    TrapKind,
    Unreachable,
)
from integration.routeros.clock import standing_clock, until

if TYPE_CHECKING:
    from integration.routeros.conftest import SimulatedRouter

LIST = "/ip/firewall/address-list"


def control(
    router: SimulatedRouter,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{router.control}{path}", data, method=method
    )
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def router(simulated_router: SimulatedRouter) -> Iterator[SimulatedRouter]:
    """The simulated router, without the faults of the last test."""
    path = f"/routers/{simulated_router.name}/faults"
    control(simulated_router, "POST", path, {})
    yield simulated_router
    control(simulated_router, "POST", path, {})


def fault(router: SimulatedRouter, **faults: object) -> None:
    control(router, "POST", f"/routers/{router.name}/faults", faults)


async def test_rows_are_added_found_changed_and_removed(
    router: SimulatedRouter,
) -> None:
    async with await connect(
        "127.0.0.1", router.port, router.credentials
    ) as session:
        added = await session.run(
            Command(
                LIST,
                "add",
                {"list": "a", "address": "10.0.0.9", "comment": "é"},
            )
        )
        assert added.ret
        wanted = Command(
            LIST,
            "print",
            {".proplist": ".id,list,comment,nothing"},
            ("?list=a",),
        )
        assert (await session.run(wanted)).rows == [
            {".id": added.ret, "list": "a", "comment": "é"}
        ]
        with pytest.raises(Trap) as caught:
            await session.run(
                Command(LIST, "add", {"list": "a", "address": "10.0.0.9"})
            )
        assert caught.value.kind is TrapKind.EXISTS
        await session.run(
            Command(LIST, "set", {".id": added.ret, "comment": ""})
        )
        assert (await session.run(wanted)).rows == [
            {".id": added.ret, "list": "a"}
        ]
        await session.run(Command(LIST, "remove", {".id": added.ret}))
        assert (await session.run(wanted)) == Reply([])


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (Command(LIST, "remove", {".id": "*FFFF"}), TrapKind.GONE),
        (
            Command(
                LIST,
                "add",
                {"list": "a", "address": "10.0.0.8", "nonsense": "1"},
            ),
            TrapKind.UNKNOWN_PARAMETER,
        ),
        (Command("/no/such/menu", "print"), TrapKind.NO_COMMAND),
        (Command(LIST, "frobnicate"), TrapKind.NO_COMMAND),
    ],
)
async def test_traps_are_understood(
    router: SimulatedRouter, command: Command, kind: TrapKind
) -> None:
    async with await connect(
        "127.0.0.1", router.port, router.credentials
    ) as session:
        with pytest.raises(Trap) as caught:
            await session.run(command)
        assert caught.value.kind is kind
        assert (
            len((await session.run(Command("/system/identity", "print"))).rows)
            == 1
        )


async def test_a_wrong_password_and_b7(router: SimulatedRouter) -> None:
    wrong = (router.credentials[0][0], "wrong")
    with pytest.raises(LoginRefused) as caught:
        await connect("127.0.0.1", router.port, [wrong])
    assert caught.value.wrong_password
    async with await connect(
        "127.0.0.1", router.port, [wrong, *router.credentials]
    ) as session:
        assert session.login == 1


async def test_a_pipeline_of_a_thousand(router: SimulatedRouter) -> None:
    async with await connect(
        "127.0.0.1", router.port, router.credentials
    ) as session:
        names = [
            f"10.{number // 250}.7.{number % 250 + 1}"
            for number in range(1000)
        ]
        added = await session.run_all(
            [
                Command(LIST, "add", {"list": "b", "address": name})
                for name in names
            ]
        )
        ids = [reply.ret or "" for reply in added if isinstance(reply, Reply)]
        assert len(set(ids)) == 1000
        rows = (
            await session.run(
                Command(
                    LIST, "print", {".proplist": ".id,address"}, ("?list=b",)
                )
            )
        ).rows
        assert {row[".id"]: row["address"] for row in rows} == dict(
            zip(ids, names, strict=True)
        )
        removed = await session.run_all(
            [Command(LIST, "remove", {".id": each}) for each in ids]
        )
        assert all(isinstance(reply, Reply) for reply in removed)


async def test_e14_no_api_session_is_left_behind(
    router: SimulatedRouter,
) -> None:
    for _ in range(25):
        async with await connect(
            "127.0.0.1", router.port, router.credentials
        ) as session:
            await session.run(Command("/system/identity", "print"))
    assert (
        control(router, "GET", f"/routers/{router.name}")["api_sessions"] == 0
    )


async def test_a_connection_that_is_cut(router: SimulatedRouter) -> None:
    session = await connect("127.0.0.1", router.port, router.credentials)
    await asyncio.to_thread(fault, router, cut=True)
    await session.wait_closed()
    with pytest.raises(ConnectionLost):
        await session.run(Command("/system/identity", "print"))
    await session.close()


async def test_b5_half_open_silence(router: SimulatedRouter) -> None:
    remove, look = (
        Command(LIST, "remove", {".id": "*1"}),
        Command("/system/identity", "print"),
    )
    with standing_clock() as clock:
        session = await connect(
            "127.0.0.1", router.port, router.credentials, timeout=1.0
        )
        await asyncio.to_thread(fault, router, blackhole=True)
        impatient = asyncio.create_task(
            session.run(remove, first_byte_within=0.2)
        )
        patient = asyncio.create_task(session.run(look))
        await until(lambda: session.in_flight == 2)
        await clock.passes(0.3)
        await clock.passes(1.0)
        results = await asyncio.gather(
            impatient, patient, return_exceptions=True
        )
    assert [type(result) for result in results] == [Stalled, ConnectionLost]
    assert session.closed
    await session.close()


async def test_a_router_that_hangs(router: SimulatedRouter) -> None:
    await asyncio.to_thread(fault, router, hang=True)
    with pytest.raises((Unreachable, ConnectionLost)):
        await connect(
            "127.0.0.1", router.port, router.credentials, timeout=0.3
        )

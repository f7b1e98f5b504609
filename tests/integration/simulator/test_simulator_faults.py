"""Latency, silence, cuts, cost and reboots, over a raw connection and the control port."""

import asyncio
import time

import pytest

from integration.simulator.conftest import Connect
from integration.simulator.wire import Wire
from simulator import ControlError, Router, SimulatorControl

IDENTITY = "/system/identity/print"
MAC = "AA:BB:CC:00:00:01"


async def silent(wire: Wire, seconds: float = 0.2) -> bool:
    """Whether nothing comes for a while."""
    try:
        data = await asyncio.wait_for(wire.reader.read(1), seconds)
    except TimeoutError:
        return True
    wire.reader.feed_data(data)
    return False


async def test_latency_is_a_round_trip_and_does_not_serialise(
    router: Router, wire: Wire, control: SimulatorControl
) -> None:
    """Point 41: Lower bounds follow from the model; the upper one is that of 40 trips in a row."""
    await control.faults(router.name, latency_ms=500)
    started = time.monotonic()
    await wire.ask(IDENTITY)
    assert time.monotonic() - started >= 0.5
    started = time.monotonic()
    for number in range(40):
        wire.send(IDENTITY, f".tag={number}")
        await asyncio.sleep(0)
    tags = [(await wire.texts())[1] for _ in range(80)]
    assert 0.5 <= time.monotonic() - started < 20
    assert tags == [f".tag={number}" for number in range(40) for _ in "ab"]


async def test_a_hanging_router_answers_when_it_is_well_again(
    router: Router, wire: Wire, control: SimulatorControl, connect: Connect
) -> None:
    await control.faults(router.name, hang=True)
    late = await connect(router)
    late.send("/login", "=name=cerebro", "=password=secret")
    wire.send(IDENTITY)
    assert await silent(wire)
    assert await silent(late)
    await control.faults(router.name)
    assert (await wire.texts())[0] == "!re"
    assert await late.texts() == ["!done"]


async def test_in_a_black_hole_the_router_does_not_learn_that_a_client_has_gone(
    router: Router, wire: Wire, control: SimulatorControl, connect: Connect
) -> None:
    """Point 41: Half-open silence."""
    leaving = await (await connect(router)).login()
    await control.faults(router.name, blackhole=True)
    wire.send(IDENTITY)
    leaving.writer.transport.abort()
    assert await silent(wire)
    assert (await control.router(router.name))["api_sessions"] == 2
    await control.faults(router.name, blackhole=False)
    assert (await wire.texts())[0] == "!re"
    for _ in range(1000):
        if (await control.router(router.name))["api_sessions"] == 1:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the router does not learn it afterwards either")


async def test_refused_then_taken_on_the_same_port(
    router: Router, wire: Wire, control: SimulatorControl
) -> None:
    await control.faults(router.name, refuse=True)
    with pytest.raises(ConnectionRefusedError):
        await Wire.connect(router.port)
    assert (await wire.ask(IDENTITY)).rows
    await control.faults(router.name)
    again = await Wire.connect(router.port)
    await again.login()
    await again.close()


async def test_cut(
    router: Router, wire: Wire, control: SimulatorControl
) -> None:
    await control.faults(router.name, cut=True)
    assert await wire.texts() == ["closed"]


@pytest.mark.parametrize("allowed", [0, 1, 30])
async def test_dropped_at_a_byte(
    router: Router, wire: Wire, control: SimulatorControl, allowed: int
) -> None:
    """Point 41: In the middle of a word, without `!done`."""
    await control.faults(router.name, drop_after_bytes=allowed)
    wire.send("/user/group/print")
    assert len(await wire.reader.read()) == allowed
    assert (await control.router(router.name))["faults"] == {}


async def test_dropped_at_a_byte_of_the_client(
    router: Router, wire: Wire, control: SimulatorControl
) -> None:
    """What came whole is run; what was cut in the middle is not."""
    await control.faults(router.name, drop_after_received=0)
    await control.faults(router.name, drop_after_received=None)
    words = ["/ip/hotspot/ip-binding/add", "=mac-address=AA:BB:CC:00:00:0"]
    whole = sum(1 + len(word) for word in words) + 2
    await control.faults(router.name, drop_after_received=2 * whole - 1)
    for digit in "12":
        wire.send(words[0], words[1] + digit)
    assert await wire.texts() == ["closed"]
    rows = await control.table(router.name, "/ip/hotspot/ip-binding")
    assert [row["mac-address"] for row in rows] == ["AA:BB:CC:00:00:01"]
    assert (await control.router(router.name))["faults"] == {}


async def test_traps_put_in_place(
    router: Router, wire: Wire, control: SimulatorControl
) -> None:
    """Point 41: A trap at once, and one behind rows."""
    trap = {
        "path": "/user/group",
        "verb": "print",
        "message": "action timed out (13)",
    }
    await control.faults(
        router.name, trap=trap | {"times": 2, "after_rows": 2}
    )
    for _ in range(2):
        answer = await wire.ask("/user/group/print")
        assert len(answer.rows) == 2
        assert answer.traps == [(None, "action timed out (13)")]
    assert len((await wire.ask("/user/group/print")).rows) == 3
    add = {
        "path": "/ip/hotspot/ip-binding",
        "verb": "add",
        "message": "failure: out of luck",
    }
    await control.faults(router.name, trap=add)
    answer = await wire.ask(
        "/ip/hotspot/ip-binding/add", f"=mac-address={MAC}"
    )
    assert answer.traps == [(None, "failure: out of luck")]
    assert await control.table(router.name, "/ip/hotspot/ip-binding") == []


async def test_commands_cost_time_for_all_connections_together(
    router: Router, wire: Wire, control: SimulatorControl, connect: Connect
) -> None:
    """Point 41: Cost, knee and stall; lower bounds that follow from the model."""
    other = await (await connect(router)).login()
    await control.faults(router.name, per_command_ms=20)
    started = time.monotonic()
    await asyncio.gather(*(w.ask(IDENTITY) for w in (wire, other)))
    await asyncio.gather(*(w.ask(IDENTITY) for w in (wire, other)))
    assert time.monotonic() - started >= 0.08
    await control.faults(router.name, per_command_ms=0, burst=5, knee_ms=30)
    await asyncio.sleep(1.1)
    started = time.monotonic()
    for _ in range(10):
        await wire.ask(IDENTITY)
    assert time.monotonic() - started >= 0.15
    await control.faults(router.name)
    started = time.monotonic()
    await control.faults(router.name, stall_ms=150)
    await wire.ask(IDENTITY)
    assert time.monotonic() - started >= 0.14


async def test_a_narrow_line(
    router: Router, wire: Wire, control: SimulatorControl
) -> None:
    await wire.ask(
        "/ip/hotspot/ip-binding/add",
        f"=mac-address={MAC}",
        "=comment=" + "x" * 20000,
    )
    await control.faults(router.name, bandwidth=100_000)
    started = time.monotonic()
    (row,) = (await wire.ask("/ip/hotspot/ip-binding/print")).rows
    assert time.monotonic() - started >= 0.2
    assert len(row["comment"]) == 20000


async def test_reboot(
    router: Router, wire: Wire, control: SimulatorControl
) -> None:
    """Points 30, 36: It is down until it boots a second time, as long as we look."""
    name = router.name
    await control.advance_clock(name, 3600)
    lists = "/ip/firewall/address-list"
    await control.add_row(name, lists, list="a", address="10.0.0.1")
    await control.add_row(
        name, lists, list="a", address="10.0.0.2", timeout="1d"
    )
    await control.add_row(
        name, "/ip/hotspot/ip-binding", mac_address=MAC, type="bypassed"
    )
    await control.move_in(name, MAC, "10.5.50.9")
    assert await control.forwarded(name, MAC, "film")
    await control.move_in(name, "AA:BB:CC:00:00:02", "10.5.50.10")
    await control.login(name, "AA:BB:CC:00:00:02", "guest")
    await control.reboot(name, 600)
    assert await wire.texts() == ["closed"]
    with pytest.raises(ConnectionRefusedError):
        await Wire.connect(router.port)
    assert not (await control.router(name))["up"]
    assert (await control.packet(name, MAC))["reason"] == "the router is down"
    await control.reboot(name, 0)
    await control.wait(name, MAC, forwarded=True, timeout=60)
    tables = await control.tables(name)
    assert [row["address"] for row in tables[lists]] == ["10.0.0.1"]
    assert len(tables["/ip/hotspot/ip-binding"]) == 1
    assert len(tables["/ip/hotspot/cookie"]) == 1
    assert tables["/ip/hotspot/active"] == []
    assert not [
        r
        for r in tables["/ip/firewall/connection"]
        if r["tcp-state"] == "established"
    ]
    again = await Wire.connect(router.port)
    await again.login()
    (row,) = (
        await again.ask("/system/resource/print", "=.proplist=uptime")
    ).rows
    assert not set(row["uptime"]) & set("hdw"), (
        "it counts from the boot, not from an hour before"
    )
    await again.close()


async def test_reboot_by_command_gives_no_done(
    router: Router, wire: Wire
) -> None:
    """Point 36."""
    wire.send("/system/reboot")
    assert await wire.texts() == ["closed"]
    assert not router.up


async def test_unknown_faults_are_named(
    router: Router, control: SimulatorControl
) -> None:
    with pytest.raises(ControlError, match="unknown fault latency"):
        await control.faults(router.name, latency=3)
    with pytest.raises(ControlError, match="latency_ms: expects a number"):
        await control.faults(router.name, latency_ms="3")
    with pytest.raises(ControlError, match="hang: expects true or false"):
        await control.faults(router.name, hang=1)


async def test_one_slow_menu_holds_up_nothing_else(
    router: Router, wire: Wire, control: SimulatorControl
) -> None:
    """A large connection table: its print is late, other commands are answered meanwhile, and it can be cancelled."""
    slow = {"path": "/user/group", "verb": "print", "ms": 60_000}
    await control.faults(router.name, slow=slow)
    wire.send("/user/group/print", ".tag=late")
    answer = await wire.ask(IDENTITY)
    assert answer.rows
    cancelled = await wire.ask("/cancel", "=tag=late")
    assert cancelled.traps == [("2", "interrupted")]
    assert (await wire.texts())[0] == "!done"
    await control.faults(router.name, slow={**slow, "ms": 1})
    assert len((await wire.ask("/user/group/print")).rows) == 3

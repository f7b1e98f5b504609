"""Scripts and schedulers over the API and the control port."""

import asyncio

from integration.simulator.conftest import Connect, MakeRouter
from integration.simulator.wire import Wire
from simulator import Router, SimulatorControl
from simulator.rights import ROOT

SCHEDULER = "/system/scheduler"


async def test_a_scheduler_that_the_api_adds_runs(
    wire: Wire, router: Router, control: SimulatorControl
) -> None:
    event = '/ip hotspot ip-binding remove [find comment="old"]'
    await wire.ask(
        f"{SCHEDULER}/add", "=name=guard", "=interval=1m", f"=on-event={event}"
    )
    for number in range(3):
        await control.add_row(
            router.name,
            "/ip/hotspot/ip-binding",
            mac_address=f"AA:BB:CC:00:00:0{number}",
            comment="old" if number else "new",
        )
    await control.advance_clock(router.name, 60)
    rows = await control.table(router.name, "/ip/hotspot/ip-binding")
    assert [row["comment"] for row in rows] == ["new"]
    (row,) = (await wire.ask(f"{SCHEDULER}/print")).rows
    assert row["run-count"] == "1"
    assert row["owner"] == "cerebro"


async def test_a_long_script_lets_the_router_answer(
    wire: Wire, router: Router
) -> None:
    job = router.scripts.run(":while (true) do={}", ROOT)
    for _ in range(3):
        assert (await wire.ask("/system/identity/print")).traps == []
        assert not job.done
    job.cancel()


async def test_a_script_run_by_the_api_answers_when_it_has_ended(
    wire: Wire, router: Router, control: SimulatorControl
) -> None:
    for name, source in (
        ("good", ":log info good"),
        ("bad", ":error broken"),
        ("slow", ":delay 1h; :log info slow"),
    ):
        await wire.ask(
            "/system/script/add", f"=name={name}", f"=source={source}"
        )
    assert (await wire.ask("/system/script/run", "=number=good")).traps == []
    answer = await wire.ask("/system/script/run", "=number=bad")
    assert answer.traps == [("3", "broken")]
    slow = asyncio.create_task(wire.ask("/system/script/run", "=number=slow"))
    await asyncio.sleep(0.05)
    assert not slow.done()
    await control.advance_clock(router.name, 3600)
    assert (await slow).traps == []
    shown = await control.table(router.name, "/log")
    assert [row["message"] for row in shown] == [
        "good",
        "(bad) broken",
        "slow",
    ]


async def test_a_reboot_without_a_battery_loses_the_date(
    make_router: MakeRouter, control: SimulatorControl, connect: Connect
) -> None:
    router = await make_router(keeps_time=False)
    wire = await (await connect(router)).login()
    await wire.ask(
        f"{SCHEDULER}/add",
        "=name=boot",
        "=start-time=startup",
        "=on-event=:log info booted",
    )
    await control.reboot(router.name, 0)
    while not router.up or router.clock.is_set:  # noqa: ASYNC110 - the router tells nobody
        await asyncio.sleep(0.01)
    (clock,) = await control.table(router.name, "/system/clock")
    assert clock["date"] == "1970-01-01"
    await control.advance_clock(router.name, 3)
    (line,) = await control.table(router.name, "/log")
    assert line["message"] == "booted"
    await control.set_clock(router.name)
    (clock,) = await control.table(router.name, "/system/clock")
    assert clock["date"] > "2020"


async def test_the_control_port_puts_the_date_wrong_and_right(
    router: Router, control: SimulatorControl
) -> None:
    source = ":put [/system clock get date]"
    await control.shift_clock(router.name, -400 * 86400)
    wrong = (await control.run_script(router.name, source))["output"]
    await control.set_clock(router.name)
    right = (await control.run_script(router.name, source))["output"]
    assert wrong < right


async def test_a_script_of_the_control_port_has_the_rights_it_is_given(
    router: Router, control: SimulatorControl
) -> None:
    source = "/system identity set name=changed"
    answer = await control.run_script(router.name, source, policy="read")
    assert "not enough permissions (9)" in answer["error"]
    assert (await control.run_script(router.name, source))["error"] is None

"""The guard on the router: put there by an agent, alone while nobody talks to the router, and the agent that comes
back.

Real: the loops of the Devices, the client, sockets, simulated routers and the scripts that they run. Faked: the API
server and the tunnel's packets, see `live_devices`.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from cerebro.resources import format_time
from integration.device.managed import (
    a_router,
    different,
    has_device,
    has_hub,
    rows,
)
from simulator.router import Router
from support.live_devices import LiveDevices, live_devices
from support.tunnels import Carried

BINDING, SCHEDULER = "/ip/hotspot/ip-binding", "/system/scheduler"
SCRIPT = "/system/script"
GUARD = "cerebro:main:guard"
LATE = 90
"""Seconds after its end at which a client has to be out."""

ENDS, STAYS = "02:00:00:00:00:01", "02:00:00:00:00:02"
BY_HAND = "02:00:00:00:00:03"


def guarded(live: LiveDevices, router: Router) -> str:
    return live.condition("Device", router.name, "Guarded")["reason"]


def ready(live: LiveDevices, router: Router) -> str:
    """The message of the Device's Ready."""
    return live.ready("Device", router.name)["message"]


def guards(router: Router) -> list[str]:
    """The menus that have a row of the guard."""
    return [
        menu
        for menu in (SCRIPT, SCHEDULER)
        for row in router.show(menu)
        if row.get("comment") == GUARD
    ]


async def alone(router: Router, seconds: int) -> None:
    """Let time pass for a router; its scripts run."""
    for _ in range(seconds):
        router.clock.advance(1)
        router.settle()
        while router.scripts.jobs.busy:  # noqa: ASYNC110 - it runs in slices of this loop
            await asyncio.sleep(0)


async def a_reached_router(live: LiveDevices) -> Router:
    """A router that its hub reaches, with the time of its agent."""
    router = await a_router(live, "r")
    router.shift_clock(-router.clock.skipped)
    has_hub(live, router)
    return router


async def a_guarded_router(live: LiveDevices) -> Router:
    router = await a_reached_router(live)
    has_device(live, router, access={"guard": "Router"})
    await live.until(lambda: guarded(live, router) == "OnRouter", "the guard")
    assert guards(router) == [SCRIPT, SCHEDULER]
    return router


def has_client(
    live: LiveDevices, router: Router, mac: str, end: datetime | None
) -> None:
    ip = f"10.5.50.{int(mac[-2:], 16)}"
    router.network.move_in(mac, ip)
    spec = {} if end is None else {"expiresAt": format_time(end)}
    client = {"macAddress": mac, "ipAddress": ip}
    live.has_session(f"s{mac[-2:]}", router.name, client, **spec)


async def test_access_ends_on_time_while_nobody_talks_to_the_router() -> None:
    async with live_devices(Carried()) as live:
        router = await a_guarded_router(live)
        by_hand = {"mac-address": BY_HAND, "type": "bypassed"}
        router.tables[BINDING].add(by_hand)
        router.network.move_in(BY_HAND, "10.5.50.3")
        end = datetime.now(UTC) + timedelta(seconds=4)
        has_client(live, router, ENDS, end)
        has_client(live, router, STAYS, end + timedelta(hours=1))
        await live.until(
            lambda: live.phase("s01") == live.phase("s02") == "Active",
            "access",
        )
        for mac in (ENDS, STAYS, BY_HAND):
            assert router.network.packet(mac, "flow").forwarded

        await live.stop()
        await alone(router, 4 + LATE)

        assert not router.network.packet(ENDS, "flow").forwarded
        assert router.network.packet(STAYS, "flow").forwarded
        assert router.network.packet(BY_HAND, "flow").forwarded

        # The router's time is that of the agent again.
        router.shift_clock(-(4 + LATE))
        later = live.start_anew()
        await later.until(lambda: later.enforced("s01"), "the end is told")

        assert later.phase("s01") == "Expired"
        assert later.phase("s02") == "Active"
        ready = await later.until_ready("Device", "r", "Equal")
        assert "Contested" not in ready["message"]
        assert guarded(later, router) == "OnRouter"
        macs = [row["mac-address"] for row in router.show(BINDING)]
        assert sorted(macs) == [STAYS, BY_HAND]


async def test_a_guard_that_a_person_changed_is_mended() -> None:
    async with live_devices(Carried()) as live:
        router = await a_guarded_router(live)
        (script,) = router.tables[SCRIPT].rows.values()
        wanted = script.values["source"]
        (scheduler,) = [
            row
            for row in router.tables[SCHEDULER].rows.values()
            if row.values.get("comment") == GUARD
        ]

        router.tables[SCRIPT].set(script, {"source": ":put 1"})
        router.tables[SCHEDULER].set(scheduler, {"disabled": "true"})

        await live.until(
            lambda: (
                script.values["source"] == wanted
                and scheduler.values["disabled"] == "false"
            ),
            "the guard is as wanted",
        )


@pytest.mark.parametrize(
    "spec",
    [{}, {"manageConfig": False}],
    ids=["guard-off", "all-off"],
)
async def test_without_the_field_the_guard_goes(spec: dict[str, bool]) -> None:
    async with live_devices(Carried()) as live:
        router = await a_guarded_router(live)

        has_device(live, router, **spec)

        await live.until(lambda: guards(router) == [], "the guard is gone")
        await live.until(lambda: guarded(live, router) == "", "nothing said")


async def test_a_device_that_goes_with_clean_up_takes_the_guard_along() -> (
    None
):
    async with live_devices(Carried()) as live:
        router = await a_guarded_router(live)

        live.begin_to_delete(router, deletionPolicy="Cleanup")

        await live.until(lambda: guards(router) == [], "the guard is gone")
        await live.until_ready("Device", router.name, "CleanedUp")


async def test_a_clock_that_is_ahead_has_the_guard_stopped() -> None:
    async with live_devices(Carried()) as live:
        router = await a_guarded_router(live)

        router.shift_clock(60)
        await live.until(
            lambda: guarded(live, router) == "RouterClockAhead", "it is said"
        )
        await live.until(lambda: guards(router) == [SCRIPT], "it is stopped")

        router.shift_clock(-60)
        await live.until(
            lambda: guards(router) == [SCRIPT, SCHEDULER], "it is back"
        )


async def test_b13_a_clock_that_jumped_ahead_is_said() -> None:
    """It was behind, and somebody has put it right: the guard's own time is behind since."""
    async with live_devices(Carried()) as live:
        router = await a_guarded_router(live)

        def message() -> str:
            return live.condition("Device", "r", "Guarded")["message"]

        router.shift_clock(-120)
        await live.until(lambda: "its clock is behind" in message(), "behind")
        router.shift_clock(120)
        await live.until(
            lambda: guarded(live, router) == "RouterClockJumped", "it is said"
        )

        assert "2 min late" in message()
        assert guards(router) == [SCRIPT, SCHEDULER]


async def test_b13_a_clock_ahead_stops_the_guard_though_the_hub_is_not_known() -> (
    None
):
    async with live_devices(Carried()) as live:
        router = await a_guarded_router(live)
        before = rows(router)
        has_hub(live, router, public_key="")
        await live.until(
            lambda: "spec.manageConfig: the Hub" in ready(live, router),
            "the Hub is said",
        )
        assert guarded(live, router) == "OnRouter"

        router.shift_clock(60)

        await live.until(lambda: guards(router) == [SCRIPT], "it is stopped")
        await live.until(
            lambda: guarded(live, router) == "RouterClockAhead", "it is said"
        )
        assert different(before, rows(router)) == []

        router.shift_clock(-60)
        await live.until(
            lambda: guards(router) == [SCRIPT, SCHEDULER], "it is back"
        )


async def test_device_mode_without_schedulers_is_said_and_nothing_written() -> (
    None
):
    async with live_devices(Carried()) as live:
        router = await a_reached_router(live)
        router.options.device_mode_scheduler = False
        has_device(live, router, access={"guard": "Router"})

        await live.until(
            lambda: guarded(live, router) == "ForbiddenByDeviceMode",
            "it is said",
        )

        assert guards(router) == []
        message = live.condition("Device", "r", "Guarded")["message"]
        assert "scheduler=yes" in message


async def test_in_dry_run_the_plan_has_the_lines_of_the_guard() -> None:
    async with live_devices(Carried()) as live:
        router = await a_reached_router(live)
        has_device(live, router, access={"guard": "Router"}, dryRun=True)

        def plan() -> str:
            device = live.device("r")
            return "\n".join((device and device.status.plan) or [])

        for menu in ("script", "scheduler"):
            line = f"/system {menu} add name=cerebro-main-guard"
            await live.until(lambda line=line: line in plan(), line)  # type: ignore[misc]

        assert guards(router) == []
        assert guarded(live, router) == "DryRun"

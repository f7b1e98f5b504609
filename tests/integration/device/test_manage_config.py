"""`manageConfig` on routers that are reached through the very tunnel that it changes: confirmed, or undone by the
router itself.

Real: the loops of the Devices, the client, sockets, simulated routers whose own rows decide whether the hub gets
through. Faked: the API server and the tunnel's packets, see `live_devices`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from cerebro.resources.naming import ANNOTATION_RESYNC_AT
from integration.device.managed import (
    OTHER_KEY,
    UNDO,
    Rows,
    a_router,
    armed,
    cut_off,
    different,
    double,
    has_device,
    has_hub,
    paste,
    phone,
    plan,
    rows,
    told,
    turn,
    warnings,
)
from simulator.router import Router
from support.live_devices import LiveDevices, live_devices
from support.tunnels import Carried

KINDS = ["pasted", "pasted+drop", "relay", "relay+drop", "pasted+listed"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_change_that_keeps_the_way_is_confirmed(kind: str) -> None:
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r", kind)
        has_hub(live, router)
        has_device(live, router)
        await live.until_ready("Device", "r", "Equal")
        await live.until(lambda: not armed(router), "the undo is taken away")
        found = rows(router)
        (rule,) = (
            row
            for row in found["/ip/firewall/filter"]
            if row.get("comment") == "cerebro:main:tunnel"
        )
        assert rule["src-address"] == "10.8.0.1"
        assert found["/ip/service"][5]["address"]
        assert "managed-by-relay" not in str(found)


CUTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "endpoint": ({"endpoint": "192.0.2.99:51820"}, {}),
    "port": ({"endpoint": "192.0.2.1:51999"}, {}),
    "name": ({"endpoint": "vpn.example.net:51820"}, {}),
    "key": ({"public_key": OTHER_KEY}, {}),
    "address": ({}, {"tunnelAddress": "10.8.0.9"}),
    "network": (
        {"addresses": ["10.77.0.1/24"]},
        {"tunnelAddress": "10.77.0.7"},
    ),
    "hub": ({"addresses": ["10.8.0.2/16"]}, {}),
}
"""Changes of Hub and Device with which the hub does not get through any more."""

PASTED = ["pasted", "pasted+drop", "pasted+drop+established"]
RELAY = ["relay", "relay+drop"]
CHANGES = [
    *((kind, cut) for kind in PASTED for cut in CUTS),
    *(
        (kind, cut)
        for kind in RELAY
        for cut in ("endpoint", "port", "address", "network")
    ),
    ("pasted+listed", "key"),
]
UNDONE_WITHIN = 60
"""Seconds of the router's clock."""


async def is_cut_off_by(
    live: LiveDevices, number: int, kind: str, cut: str
) -> Router:
    """Have a router with a live Session changed so that the hub is cut off."""
    name = f"r{number}"
    router = await a_router(live, name, kind)
    mac, address = phone(number)
    router.network.move_in(mac, address)
    client = {"macAddress": mac, "ipAddress": address}
    hub, spec = CUTS[cut]

    # First without manageConfig, as somebody has it who turns it on.
    has_hub(live, router, **hub)
    has_device(live, router, **spec, manageConfig=False)
    live.has_session(f"s{number}", name, client)
    await live.until(lambda: live.phase(f"s{number}") == "Active", "access")
    assert router.network.packet(mac, "call").forwarded

    before = rows(router)
    has_device(live, router, **spec)
    await cut_off(router)
    await undone(live, router, before, mac)

    return router


async def undone(
    live: LiveDevices,
    router: Router,
    before: Rows,
    mac: str,
) -> None:
    """Turn the router's clock until it has taken the change back."""
    uptime = router._booted
    turned = 0

    while router.way.refusal() is not None:
        assert armed(router)
        assert router.network.packet(mac, "call").forwarded
        assert turned < UNDONE_WITHIN
        await turn(router, 5)
        turned += 5

    assert not armed(router)
    assert different(before, rows(router)) == []
    assert router._booted == uptime
    assert router.network.packet(mac, "call").forwarded
    assert router.network.packet(mac).forwarded

    ready = await live.until_ready(
        "Device", router.name, "ConfigurationUndone"
    )
    assert ready["status"] == "True"
    assert "so the router took it back" in ready["message"]
    assert "relay.cerebro.dev/resync-at" in ready["message"]


async def test_thirty_changes_that_cut_the_hub_off_are_undone() -> None:
    """Each within a minute, without a reboot, and no phone notices (rule B11)."""
    assert len(CHANGES) == 30
    async with live_devices(Carried()) as live:
        routers = await asyncio.gather(
            *(
                is_cut_off_by(live, number, kind, cut)
                for number, (kind, cut) in enumerate(CHANGES)
            )
        )

        # Not one is tried again at the resyncs, each second.
        written = [router.counters["writes"] for router in routers]
        await asyncio.sleep(3)
        assert [router.counters["writes"] for router in routers] == written
        for number, router in enumerate(routers):
            assert live.phase(f"s{number}") == "Active"
            assert "ConfigurationUndone" in warnings(live, router)


async def test_a_corrected_change_is_made_after_one_was_undone() -> None:
    async with live_devices(Carried()) as live:
        router = await is_cut_off_by(live, 0, "pasted+drop", "endpoint")

        # As it is, it is tried again when a person asks for it.
        live.annotate("Device", "r0", ANNOTATION_RESYNC_AT, "now")
        await cut_off(router)
        assert armed(router)
        await turn(router, 60)
        assert not armed(router)
        await live.until(
            lambda: "ConfigurationUndone" in warnings(live, router), "undone"
        )

        has_hub(live, router)
        await live.until_ready("Device", "r0", "Equal")
        await live.until(lambda: not armed(router), "confirmed")


async def test_a_device_mode_that_forbids_schedulers_is_said_and_nothing_risky_is_written() -> (
    None
):
    async with live_devices(Carried()) as live:
        router = await a_router(
            live, "r", "relay", device_mode_scheduler=False
        )
        before = rows(router)
        has_hub(live, router)
        has_device(live, router)
        ready = await live.until_ready("Device", "r", "ForbiddenByDeviceMode")
        assert "/system/device-mode/update scheduler=yes" in ready["message"]
        assert "nothing was written that may cut" in ready["message"]
        assert different(before, rows(router)) == []

        router.options.device_mode_scheduler = True
        await live.until_ready("Device", "r", "Equal")


async def test_a_policy_that_misses_is_said_and_nothing_risky_is_written() -> (
    None
):
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r", "relay", group="write")
        group = router.tables["/user/group"].find("write")
        assert group is not None
        group.hidden["policy"] = "read,api"
        before = rows(router)
        has_hub(live, router)
        has_device(live, router)
        ready = await live.until_ready("Device", "r", "NotPermitted")
        assert "policies read, write and api" in ready["message"]
        assert different(before, rows(router)) == []


@pytest.mark.parametrize("spec", [{"paused": "Changes"}, {"dryRun": True}])
async def test_nothing_is_written_while_paused_or_in_dry_run(
    spec: dict[str, Any],
) -> None:
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r", "relay")
        has_hub(live, router)
        has_device(live, router, **spec)
        reason = "DryRun" if "dryRun" in spec else "Paused"
        await live.until_ready("Device", "r", reason)
        await asyncio.sleep(2)
        assert router.counters["writes"] == 0

        has_device(live, router)
        await live.until_ready("Device", "r", "Equal")


async def test_a_pause_in_the_middle_leaves_the_change_to_its_undo() -> None:
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r")
        before = rows(router)
        has_hub(live, router, addresses=["10.8.0.2/16"])
        has_device(live, router)
        await live.until_ready("Device", "r", "ConfigurationUnconfirmed")
        has_device(live, router, paused="Changes")
        await live.until_ready("Device", "r", "Paused")
        await turn(router, 60)
        assert different(before, rows(router)) == []

        has_device(live, router)
        await live.until(lambda: armed(router), "it is tried, as never before")


async def test_the_undo_of_an_agent_that_died_runs_and_the_next_one_begins_anew() -> (
    None
):
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r", "relay+drop")
        before = rows(router)
        has_hub(live, router, endpoint="192.0.2.99:51820")
        has_device(live, router)
        await cut_off(router)
        live.forget_device("r")
        await turn(router, 60)
        assert different(before, rows(router)) == []

        has_hub(live, router)
        has_device(live, router)
        await live.until_ready("Device", "r", "Equal")


async def test_a_scheduler_that_a_confirmed_change_left_is_taken_away() -> (
    None
):
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r")
        has_hub(live, router)
        has_device(live, router)
        await live.until_ready("Device", "r", "Equal")
        await live.until(lambda: not armed(router), "confirmed")
        before = rows(router)
        line = f'/system scheduler add name=u interval=1h comment="{UNDO}"'
        await paste(router, line)
        await live.until(lambda: not armed(router), "taken away")
        assert different(before, rows(router)) == []


async def test_the_undo_survives_a_reboot_and_a_lost_clock() -> None:
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r", "relay+drop", keeps_time=False)
        before = rows(router)
        has_hub(live, router, endpoint="192.0.2.99:51820")
        has_device(live, router)
        await cut_off(router)
        router.reboot(0.1)
        await asyncio.sleep(0.2)
        await turn(router, 4)
        assert router.way.refusal() is None
        assert not armed(router)
        assert different(before, rows(router)) == []


async def test_b10_what_is_changed_by_hand_is_repaired_and_a_fight_is_said() -> (
    None
):
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r")
        has_hub(live, router)
        has_device(live, router)
        await live.until_ready("Device", "r", "Equal")
        peers = "/interface/wireguard/peers"
        drift = ("cerebro_drift_total", {"part": "configuration"})
        before = REGISTRY.get_sample_value(*drift) or 0

        for _ in range(3):
            await live.until(lambda: not armed(router), "confirmed")
            await asyncio.sleep(1.5)
            await paste(
                router,
                "/interface wireguard peers set [find] persistent-keepalive=1m",
            )
            await live.until(
                lambda: (
                    rows(router)[peers][0]["persistent-keepalive"] == "25s"
                ),
                "repaired",
            )

        ready = await live.until_ready("Device", "r", "Contested")
        assert peers in ready["message"]
        assert REGISTRY.get_sample_value(*drift) == before + 3


async def test_what_a_person_pastes_and_what_the_agent_does_come_to_the_same() -> (
    None
):
    """Lines of the plan, on the simulator's console and on the double, against the API, on a router set up by hand."""
    async with live_devices(Carried()) as live:
        shown, kept = [
            await a_router(live, name, "relay+drop") for name in ("a", "b")
        ]
        console = double(shown)

        has_hub(live, shown)
        has_device(live, shown, dryRun=True)
        has_hub(live, kept)
        has_device(live, kept)
        await live.until_ready("Device", "a", "DryRun")
        await live.until(
            lambda: "/ip service" in str(plan(live, "a")), "a plan"
        )
        await live.until_ready("Device", "b", "Equal")
        await live.until(lambda: not armed(kept), "confirmed")

        lines = plan(live, "a")
        await paste(shown, "\n".join(lines))
        console.paste(lines)
        assert console.failed == []
        assert told(rows(shown), shown) == told(rows(kept), kept)
        assert told(console.tables, shown) == told(rows(kept), kept)


async def test_who_comes_while_a_change_waits_for_its_confirmation_is_let_in() -> (
    None
):
    """The service takes no fresh login of the hub any more, and the connection that stands is used."""
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r")
        has_hub(live, router, addresses=["10.8.0.2/16"])
        has_device(live, router)
        await live.until_ready("Device", "r", "ConfigurationUnconfirmed")
        assert router.way.refusal() is not None

        mac, address = phone()
        router.network.move_in(mac, address)
        live.has_session("s", "r", {"macAddress": mac, "ipAddress": address})
        await live.until(lambda: live.phase("s") == "Active", "access")
        assert router.network.packet(mac).forwarded
        assert armed(router)

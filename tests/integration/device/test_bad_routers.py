"""Routers that cannot do what is asked of them: each has a condition with a reason and a next step, and what can be
given is given.

Real: the loops of the Devices, the client, sockets, simulated routers. Faked: the API server, see `live_devices`.
"""

from __future__ import annotations

from typing import Any

import pytest

from integration.device.passes import BINDING, LIST
from simulator.router import Router
from support.live_devices import LiveDevices, live_devices

MAC, IP = "AA:BB:CC:00:00:01", "10.5.50.11"
CLIENT = {"macAddress": MAC, "ipAddress": IP}
VERSIONS = [f"7.{minor}" for minor in range(10, 24)]


async def a_router(live: LiveDevices, **options: Any) -> Router:
    """Return a router with a client, its Device and a Session."""
    router = await live.simulator.add_router("r", **options)
    router.network.move_in(MAC, IP)
    return router


def written(router: Router) -> list[str]:
    """Return the commands in the router's log that would change it."""
    verbs = {"add", "set", "remove", "unset", "enable", "disable", "move"}
    words = [entry["sentence"][0] for entry in router.log]
    return [word for word in words if word.rpartition("/")[2] in verbs]


def ours(router: Router) -> list[str]:
    """Return the comments of our rows."""
    rows = [*router.show(BINDING), *router.show(LIST)]
    return [row["comment"] for row in rows if "comment" in row]


async def serves(live: LiveDevices, router: Router) -> None:
    """Wait until the Session is on the router; its client is online then."""
    await live.until(lambda: live.phase("s") == "Active", "access")
    assert router.network.packet(MAC).forwarded


async def test_no_hotspot_is_said_and_entries_are_made() -> None:
    async with live_devices() as live:
        router = await a_router(live)
        router.tables["/ip/hotspot"].clear()
        live.has_device(router)
        live.has_session("s", "r", CLIENT)
        told = await live.until_ready("Device", "r", "NoHotspot")
        assert told["status"] == "True"
        assert "/ip/hotspot/setup" in told["message"]
        await live.until(lambda: bool(ours(router)), "entries")


async def test_a_hotspot_server_that_is_not_there_is_named() -> None:
    async with live_devices() as live:
        router = await a_router(live)
        live.has_device(router, access={"hotspotServer": "shop"})
        told = await live.until_ready("Device", "r", "NoHotspot")
        assert "shop (spec.access.hotspotServer)" in told["message"]
        assert "Running are: hotspot1" in told["message"]


async def test_where_the_list_alone_gives_access_no_hotspot_is_needed() -> (
    None
):
    async with live_devices() as live:
        router = await a_router(live, access="list")
        router.tables["/ip/hotspot"].clear()
        live.has_device(router, access={"bindingType": "regular"})
        live.has_session("s", "r", CLIENT)
        await serves(live, router)
        await live.until_ready("Device", "r", "Equal")


async def test_a_device_mode_that_forbids_is_said_with_what_to_do() -> None:
    async with live_devices() as live:
        router = await a_router(live, device_mode_hotspot=False)
        live.has_device(router)
        told = await live.until_ready("Device", "r", "ForbiddenByDeviceMode")
        assert "/system/device-mode/update hotspot=yes" in told["message"]


@pytest.mark.parametrize(
    ("policies", "told_by"),
    [("api,read", "/add"), ("api,write", "print")],
)
async def test_a_policy_that_misses_is_said_and_nothing_is_written(
    policies: str, told_by: str
) -> None:
    async with live_devices() as live:
        router = await a_router(live, group="read")
        groups = router.tables["/user/group"]
        group = groups.find("read")
        assert group is not None
        group.hidden["policy"] = policies
        live.has_device(router)
        live.has_session("s", "r", CLIENT)
        for kind, name in (("Device", "r"), ("Session", "s")):
            told = await live.until_ready(kind, name, "NotPermitted")
            assert told["status"] != "True"
            assert told_by in told["message"]
            assert "policies read, write and api" in told["message"]
        assert ours(router) == []


async def test_a_full_disk_is_said_and_the_session_waits_for_room() -> None:
    async with live_devices() as live:
        router = await a_router(live, disk_full=True)
        live.has_device(router)
        live.has_session("s", "r", CLIENT)
        for kind, name in (("Device", "r"), ("Session", "s")):
            told = await live.until_ready(kind, name, "DiskFull")
            assert told["status"] != "True"
            assert "/file/print" in told["message"]
        assert live.phase("s") == "Pending"
        router.options.disk_full = False
        await serves(live, router)


async def test_a_disk_that_is_nearly_full_is_said_before_it_refuses() -> None:
    async with live_devices() as live:
        router = await a_router(live, disk_full=True)
        live.has_device(router)
        told = await live.until_ready("Device", "r", "DiskFull")
        assert told["status"] == "True"
        assert "0 bytes left" in told["message"]


async def test_a_licence_for_one_user_is_said_and_bypass_is_given() -> None:
    async with live_devices() as live:
        router = await a_router(live, license_level="3")
        live.has_device(router)
        live.has_session("s", "r", CLIENT)
        await serves(live, router)
        told = await live.until_ready("Device", "r", "LicenseLimit")
        assert "level 4 or higher" in told["message"]


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_version_from_7_10_to_7_23_is_served(version: str) -> None:
    async with live_devices() as live:
        router = await a_router(live, version=version)
        live.has_device(router)
        live.has_session("s", "r", CLIENT)
        await serves(live, router)
        await live.until_ready("Device", "r", "Equal")
        live.revoke("s")
        await live.until(lambda: live.phase("s") == "Revoked", "end")
        assert not router.network.packet(MAC).forwarded


@pytest.mark.parametrize("version", ["7.9", "7.24", "8.0"])
async def test_a_version_that_nobody_tested_is_served_and_said(
    version: str,
) -> None:
    async with live_devices() as live:
        router = await a_router(live, version=version)
        live.has_device(router)
        live.has_session("s", "r", CLIENT)
        await serves(live, router)
        told = await live.until_ready("Device", "r", "VersionNotTested")
        assert version in told["message"]
        assert "install a tested version" in told["message"]


@pytest.mark.parametrize(
    ("version", "legacy"), [("6.49.18", False), ("6.42", True)]
)
async def test_routeros_6_is_refused_and_nothing_is_written(
    version: str, legacy: bool
) -> None:
    async with live_devices() as live:
        router = await a_router(live, version=version, legacy_login=legacy)
        live.has_device(router)
        live.has_session("s", "r", CLIENT)
        for kind, name in (("Device", "r"), ("Session", "s")):
            told = await live.until_ready(kind, name, "VersionNotSupported")
            assert told["status"] != "True"
            assert f"RouterOS {version}" in told["message"]
            assert "upgrade it to RouterOS 7.10 or newer" in told["message"]
        assert written(router) == []
        assert ours(router) == []

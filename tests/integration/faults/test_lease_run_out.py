"""E1: the API server is away for longer than the Lease of an agent: it grants and repairs nothing more, and
ends access only by rows whose marker has passed, for another agent may have prolonged the others. Back again
it acquires the Lease anew and puts all right.
"""

from __future__ import annotations

import asyncio
import time

from controlplane.server import ControlPlane
from integration.faults.conftest import OpenStack
from integration.faults.injection import Lane
from integration.faults.stack import Stack, soon, until

LEASE = 6
OURS, LOST = "cerebro-direct is ours", "cerebro-direct is not ours any more"
BINDINGS = "/ip/hotspot/ip-binding"


async def test_e1_agent_without_its_lease_only_ends(
    control_plane: ControlPlane, open_stack: OpenStack
) -> None:
    stack = await open_stack(
        device={"resyncInterval": "1s"},
        CEREBRO_LEASE_DURATION=str(LEASE),
        CEREBRO_REQUEST_TIMEOUT="2",
    )
    lane = Lane(stack)
    await lane.begin()
    due, prolonged, removed, new = (stack.new_phone() for _ in range(4))
    for name, phone in (
        ("due", due),
        ("prolonged", prolonged),
        ("removed", removed),
    ):
        await stack.create(name, phone)
        await stack.settled(name, "Active")
    for name in ("due", "prolonged"):
        await stack.change(name, expiresAt=soon(20))
        await stack.settled(name, "Active")
    await stack.router.set_faults({"refuse": True, "cut": True})
    await stack.create("new", new)
    await until(lambda: _pending(stack, "new"), stack.logs)

    async with lane.watched():
        await asyncio.to_thread(control_plane.stop_api_server)
        try:
            await _without_lease(stack)
            marker = _prolong(stack, prolonged.mac)
            _remove(stack, removed.mac)
            await stack.router.set_faults({})
            await until(lambda: _out(stack, due.mac), stack.logs)
            await _passes(stack, 3)
            assert not stack.forwarded(new), "it grants nothing new"
            assert not _rows(stack, new.mac) + _rows(stack, removed.mac), (
                "it repairs nothing"
            )
            (row,) = _rows(stack, prolonged.mac)
            assert row["comment"] == marker, (
                "a marker that has not passed is left alone"
            )
            assert stack.forwarded(prolonged)
        finally:
            await asyncio.to_thread(control_plane.start_api_server)
        await stack.settled("new", "Active")
        for name in ("due", "prolonged"):
            await stack.settled(name, "Expired")
        await until(lambda: _in(stack, removed.mac), stack.logs)
        assert stack.forwarded(new)
        assert not stack.forwarded(due)
        assert not stack.forwarded(prolonged)
        await stack.check_equal()


def _rows(stack: Stack, mac: str) -> list[dict[str, str]]:
    return [
        row
        for row in stack.router.show(BINDINGS)
        if row.get("mac-address") == mac
    ]


def _prolong(stack: Stack, mac: str) -> str:
    """Write a later end into the rows of a phone, as an agent would that has the Lease now; gives the marker."""
    (row,) = _rows(stack, mac)
    marker = f"{row['comment'].rpartition(':')[0]}:{int(time.time()) + 3600}"
    for path in (BINDINGS, "/ip/firewall/address-list"):
        table = stack.router.tables[path]
        for found in stack.router.show(path):
            if found.get("comment") == row["comment"]:
                table.set(table.rows[found[".id"]], {"comment": marker})
    return marker


def _remove(stack: Stack, mac: str) -> None:
    """Remove a phone's binding, as a person at the router would."""
    (row,) = _rows(stack, mac)
    table = stack.router.tables[BINDINGS]
    table.remove(table.rows[row[".id"]])


async def _passes(stack: Stack, count: int) -> None:
    """Wait until the agent has looked at the router that many times more."""

    def looks() -> int:
        return sum(
            entry["sentence"][0] == f"{BINDINGS}/print"
            for entry in stack.router.log
        )

    before = looks()

    async def seen() -> bool:
        return looks() >= before + count

    await until(seen, stack.logs)


async def _pending(stack: Stack, name: str) -> bool:
    return (await stack.session(name)).status.phase == "Pending"


async def _without_lease(stack: Stack) -> None:
    """Wait until the agent has no Lease and can get none: the API server is away for longer than one lasts."""
    over = time.monotonic() + LEASE

    async def lost() -> bool:
        return time.monotonic() > over and stack.agent.said(
            OURS
        ) == stack.agent.said(LOST)

    await until(lost, stack.logs)


async def _out(stack: Stack, mac: str) -> bool:
    return (
        not _rows(stack, mac)
        and not stack.router.network.packet(mac).forwarded
    )


async def _in(stack: Stack, mac: str) -> bool:
    return (
        bool(_rows(stack, mac)) and stack.router.network.packet(mac).forwarded
    )

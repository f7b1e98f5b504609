"""The loop of a Device when its Lease runs out within a pass (rule E1), and when the Device goes (A8, B9)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.desired import PassContext
from cerebro.agent.devices.access.reconcile import (
    AccessReconciler,
    GaveWay,
)
from cerebro.agent.devices.access.roster import Roster
from cerebro.agent.devices.cleanup import clean_up
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.loop import DeviceLoop
from cerebro.agent.devices.model import RouterFacts
from cerebro.agent.devices.users.reconcile import remove_all
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.references import device_of, hub_of, superseded_by
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.lease import Lease
from cerebro.kube.status_writer import StatusWriter, Write
from cerebro.resources import DEVICE, KINDS, PEER, SESSION, Device, Session
from cerebro.routeros.access.marker import marker_for
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.client.command import Command
from cerebro.routeros.client.session import WINDOW, RouterSession
from support.events import Events
from support.faked_router import FakedRouter
from support.tables import Tables
from support.tunnels import NoTunnels

MAC, IP = "AA:00:00:00:00:01", "10.5.50.1"


class FakedLease:
    """A Lease whose state a test sets."""

    def __init__(self) -> None:
        self.holds, self.others = True, False

    def held(self) -> bool:
        return self.holds

    def ours_until_taken(self) -> bool:
        return not self.others


class FakedLink:
    """The connection of a loop: always there, to one router."""

    facts = RouterFacts(identity="r1", serial_number="S1")

    def __init__(self, router: FakedRouter) -> None:
        self._router = router
        self.closed = 0

    async def session(self, device: Device) -> tuple[RouterSession, bool]:
        return self._router.session, False

    async def close(self) -> None:
        self.closed += 1


class World:
    """An agent's context with one Device behind a faked router; it stands in for the API and the writer."""

    clock_skew = None

    def __init__(self) -> None:
        self._versions = itertools.count(1)
        self.store, self.lease, self.router = (
            Store(),
            FakedLease(),
            FakedRouter(Tables()),
        )
        self.statuses: list[Write] = []
        self.context = AgentContext(
            api=cast(KubeApi, self),
            store=self.store,
            statuses=cast(StatusWriter, self),
            recorder=Events().as_recorder(),
            direct=cast(Lease, self.lease),
            by_device=self.store.add_index(SESSION, device_of),
            superseding=self.store.add_index(SESSION, superseded_by),
            peers_by_hub=self.store.add_index(PEER, hub_of),
            windows=GrantWindows(),
            tunnels=NoTunnels(),
        )
        self.link = FakedLink(self.router)

    def put(self, write: Write) -> None:
        self.statuses.append(write)

    def deliver(
        self,
        kind: str,
        name: str,
        spec: dict[str, Any],
        *,
        uid: str,
        event: Any = "MODIFIED",
    ) -> None:
        meta = {
            "name": name,
            "namespace": "ns",
            "uid": uid,
            "resourceVersion": str(next(self._versions)),
        }
        self.store.deliver(
            KINDS[kind], event, {"metadata": meta, "spec": spec}
        )

    def has_device(self, uid: str = "d-1", **spec: Any) -> None:
        api = {
            "address": "192.0.2.1",
            "allowPlaintext": True,
            "credentialsSecretRef": {"name": "s"},
        }
        self.deliver("Device", "d", {"api": api, **spec}, uid=uid)

    def has_session(self) -> None:
        client = {"macAddress": MAC, "ipAddress": IP}
        self.deliver(
            "Session",
            "s",
            {"deviceRef": {"name": "d"}, "client": client},
            uid="s",
        )

    def loop(self) -> DeviceLoop:
        stored = self.store.get(DEVICE, "ns", "d")
        assert stored is not None
        return DeviceLoop(
            self.context, "ns", "d", stored.uid, cast(RouterLink, self.link)
        )


@pytest.fixture
def world() -> World:
    """A Device and a Session of it; the Lease is held."""
    world = World()
    world.has_device()
    world.has_session()
    return world


async def test_e1_a_lease_that_runs_out_while_a_router_is_read_writes_nothing(
    world: World,
) -> None:
    """Another agent may have ended the Session meanwhile; what was planned before would let it in again."""
    reads = 0

    def before(commands: Sequence[Command]) -> None:
        nonlocal reads
        if (
            commands[0].path != "/ip/hotspot/ip-binding"
            or not commands[0].reads
        ):
            return
        reads += 1
        world.lease.holds = False
        if (
            reads == 2
        ):  # it looks again, as one that may end only what has passed
            world.context.stopping = True
            loop.look_at_everything()

    world.router.before = before
    loop = world.loop()
    await loop.run()
    assert reads == 2
    assert world.router.written == []


async def once(loop: DeviceLoop) -> None:
    """Let a loop turn until it has nothing more to do."""
    running = asyncio.create_task(loop.run())
    for _ in range(100):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_e1_with_the_lease_the_same_pass_writes(world: World) -> None:
    await once(world.loop())
    assert [command.verb for command in world.router.written] == ["add", "add"]


@pytest.mark.parametrize(
    ("holds", "others", "leased", "acts"),
    [
        (True, False, True, True),
        (False, False, True, False),
        (False, False, False, True),
        (True, False, False, False),
        (False, True, False, False),
    ],
)
def test_e1_what_was_planned_counts_while_the_lease_is_as_it_was(
    world: World, holds: bool, others: bool, leased: bool, acts: bool
) -> None:
    """Also not when it came: then repairs are due that were not planned."""
    stored = world.store.get(DEVICE, "ns", "d")
    device = stored.read(Device) if stored else None
    assert device is not None
    world.lease.holds, world.lease.others = holds, others
    assert world.context.still_acts(device, leased=leased) is acts


def a_session(number: int) -> Session:
    meta = {"name": f"s{number}", "namespace": "ns", "uid": f"u{number}"}
    client = {"macAddress": f"AA:00:00:00:01:{number:02X}"}
    return Session.model_validate(
        {
            "metadata": meta,
            "spec": {"deviceRef": {"name": "d"}, "client": client},
        }
    )


async def test_e1_it_is_asked_before_each_window_of_writes() -> None:
    router = FakedRouter(Tables())
    sessions = [a_session(number) for number in range(WINDOW + 1)]
    at = PassContext(datetime(2026, 6, 1, tzinfo=UTC), complete=True)
    run = AccessReconciler(
        router.session,
        AccessPolicy(),
        at,
        may_write=lambda: not router.written,
    )
    outcome = await run.run(Roster.of(sessions), None)
    assert len(router.written) == WINDOW
    assert (outcome.interrupted, outcome.settled) == (True, False)


async def test_b5_a_full_pass_gives_way_to_a_client_that_waits() -> None:
    """While it reads and plans, before its first write; a pass that may not give way goes on."""
    sessions = [a_session(number) for number in range(200)]
    at = PassContext(datetime(2026, 6, 1, tzinfo=UTC), complete=True)
    for gives_way in (True, False):
        router = FakedRouter(Tables())
        router.answers = asyncio.Event()
        run = AccessReconciler(
            router.session,
            AccessPolicy(),
            at,
            urgent=lambda: True,
            gives_way=gives_way,
        )
        asyncio.get_running_loop().call_later(0.2, router.answers.set)
        if gives_way:
            with pytest.raises(GaveWay):
                await run.run(Roster.of(sessions), None)
            assert not router.written
        else:
            outcome = await run.run(Roster.of(sessions), None)
            assert outcome.interrupted
            assert len(router.written) == WINDOW


async def test_e1_a_clean_up_stops_with_the_lease_too() -> None:
    router = FakedRouter(Tables())
    comment = str(marker_for("main", MAC, None))
    router.tables.put(
        "bindings", mac_address=MAC, type="bypassed", comment=comment
    )
    outcome = await clean_up(
        router.session,
        AccessPolicy(),
        remove_all,
        dry_run=False,
        may_write=lambda: False,
    )
    assert (router.written, outcome.settled) == ([], False)
    outcome = await clean_up(
        router.session,
        AccessPolicy(),
        remove_all,
        dry_run=False,
        may_write=lambda: True,
    )
    assert (router.tables.bindings, outcome.settled) == ([], True)


@pytest.mark.parametrize("there", [True, False])
async def test_f6_a_device_that_goes_in_dry_run_waits_while_rows_of_ours_are_there(
    *, there: bool
) -> None:
    router = FakedRouter(Tables())
    if there:
        comment = str(marker_for("main", MAC, None))
        router.tables.put(
            "bindings", mac_address=MAC, type="bypassed", comment=comment
        )
    outcome = await clean_up(
        router.session,
        AccessPolicy(),
        remove_all,
        dry_run=True,
        may_write=lambda: True,
    )
    assert (router.written, outcome.settled) == ([], not there)
    assert bool(list(outcome.plan.commands())) is there


async def test_f6_a_setting_of_the_agent_puts_all_devices_into_dry_run(
    world: World,
) -> None:
    world.context.dry_run = True
    await once(world.loop())
    assert world.router.written == []

    told = {write.name: write.status for write in world.statuses}
    lines = told["d"]["plan"]
    assert any(MAC in line for line in lines)
    assert any(IP in line for line in lines)
    for name, type_ in (("d", "Ready"), ("d", "Configured"), ("s", "Ready")):
        said = next(
            each for each in told[name]["conditions"] if each["type"] == type_
        )
        assert said["reason"] == "DryRun"
        assert "CEREBRO_DRY_RUN" in said["message"]


async def test_a8_a_loop_ends_with_its_device_and_leaves_the_rows(
    world: World,
) -> None:
    loop = world.loop()
    await once(loop)
    written = len(world.router.written)
    running = asyncio.create_task(loop.run())
    await asyncio.sleep(0)
    assert "device ns/d" in world.context.heartbeats
    world.deliver("Device", "d", {}, uid="d-1", event="DELETED")
    loop.look_at_everything()
    await running
    assert len(world.router.written) == written
    assert world.context.heartbeats == {}
    assert world.link.closed == 2


async def test_a_loop_ends_when_another_device_of_its_name_came(
    world: World,
) -> None:
    """What it found (CleanedUp, say) holds for the one that was there."""
    loop = world.loop()
    world.has_device(uid="d-2")
    await loop.run()
    assert world.statuses == []


async def test_a_loop_whose_device_goes_within_a_pass_ends_after_it(
    world: World,
) -> None:
    def before(commands: Sequence[Command]) -> None:
        if not commands[0].reads:
            world.deliver("Device", "d", {}, uid="d-1", event="DELETED")
            loop.look_at_everything()

    world.router.before = before
    loop = world.loop()
    await loop.run()
    assert world.context.heartbeats == {}


async def test_b9_a_loop_goes_on_for_a_device_that_cannot_be_read(
    world: World,
) -> None:
    world.has_device(commands="Everything")
    running = asyncio.create_task(world.loop().run())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not running.done()
    assert (world.router.written, len(world.statuses)) == ([], 1)
    world.context.stopping = True
    running.cancel()

"""The API server is away, or refuses, and comes back: no process of ours ends, ends of access that fall due
meanwhile are enforced, nothing else on the router changes, and all catch up (E10, E11, F1).

In the ordinary run it is away for 20 s, in the long one for two minutes. That the shorter time says as much
is by the limits below, which are kopf's too: a request is given up after 2 s, a watch lasts 5 s, the longest
wait between two tries is 1 s. So each watch, Lease and list fails some ten times or more, the Leases (6 s)
run out three times over, and every ceiling of a back-off is reached.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from controlplane import apply
from controlplane.proxy import FaultProxy
from controlplane.server import ControlPlane
from integration.faults.backend import AUTHORIZE, REVOKE, Backend
from integration.faults.conftest import OpenStack, stacks_on
from integration.faults.injection import Lane
from integration.faults.stack import (
    LONG,
    Stack,
    api_server_stopped,
    soon,
    until,
)

AWAY = 120.0 if LONG else 20.0
REFUSING = 30.0 if LONG else 8.0
LIMITS = {
    "CEREBRO_REQUEST_TIMEOUT": "2",
    "CEREBRO_WATCH_TIMEOUT": "5",
    "CEREBRO_BACKOFF_CEILING": "1",
    "CEREBRO_LEASE_DURATION": "6",
    "CEREBRO_LEASE_RENEW_INTERVAL": "1",
}
FLOW = "film"
SCRAPED = {
    "/ip/hotspot/ip-binding": "mac-address",
    "/ip/firewall/address-list": "address",
}


def entries(stack: Stack) -> dict[str, str]:
    """Give what stands on the router, by id: who it is for and its comment."""
    return {
        f"{path} {row['.id']}": f"{row.get(column)} {row.get('comment')}"
        for path, column in SCRAPED.items()
        for row in stack.router.show(path)
    }


class Outage:
    """What is there before, what must happen during, and what must be after an outage."""

    def __init__(self, lane: Lane) -> None:
        self.lane, self.stack = lane, lane.stack
        self.backend = Backend(self.stack.bridge_port)

    async def before(self, seconds: float) -> None:
        """Have phones whose time ends soon, while the Lease still holds, and when it has long run out."""
        self.stack.start()
        await self.lane.begin()
        self.early, self.late, self.person = (
            self.stack.new_phone() for _ in range(3)
        )
        self.by_hand()
        answer = await self.backend.insist(
            AUTHORIZE,
            pedidoId="P-before",
            planoMinutos=60,
            **self.person.address,
        )
        assert answer.status == 200, answer
        self.lane.paying.append(self.person)
        for name, phone in (("early", self.early), ("late", self.late)):
            await self.stack.create(name, phone)
            await self.stack.settled(name, "Active")
            assert self.stack.forwarded(phone, FLOW)
        await self.stack.change("late", expiresAt=soon(3 + seconds * 0.7))
        await self.stack.change("early", expiresAt=soon(3))
        for name in (
            "late",
            "early",
        ):  # the agent knows of both ends, of which the first may have come
            await self.stack.settled(name, "Active", "Expired")
        self.pids = self.stack.pids()
        self.entries = entries(self.stack)

    def by_hand(self) -> None:
        """Have an entry there that is nobody's of ours."""
        bindings = self.stack.router.tables["/ip/hotspot/ip-binding"]
        bindings.add(
            {
                "mac-address": "02:00:00:00:00:01",
                "type": "bypassed",
                "comment": "printer",
            }
        )

    async def during(self, seconds: float) -> None:
        """A new order is taken in and answered with 503, ends are enforced, and all else stays as it is."""
        ends = time.monotonic() + seconds
        self.ordered = self.stack.new_phone()
        answer = await self.backend.post(
            AUTHORIZE,
            pedidoId="P-during",
            planoMinutos=60,
            **self.ordered.address,
        )
        assert (answer.status, answer.body.get("pending")) == (503, True), (
            answer
        )
        await asyncio.sleep(seconds * 0.7)
        await until(self.cut_off, self.stack.logs)
        await asyncio.sleep(max(0.0, ends - time.monotonic()))
        assert not self.stack.forwarded(self.ordered)
        gone = {
            name
            for phone in (self.early, self.late)
            for name in (phone.mac, phone.ip)
        }
        marked_anew = {
            key: text.split()[0] for key, text in self.entries.items()
        }
        kept = {
            key: name for key, name in marked_anew.items() if name not in gone
        }
        now = {
            key: text.split()[0] for key, text in entries(self.stack).items()
        }
        assert now == kept, "only what was due has changed on the router"
        assert self.stack.pids() == self.pids, self.stack.logs()

    async def cut_off(self) -> bool:
        return not any(
            self.stack.forwarded(phone, flow)
            for phone in (self.early, self.late)
            for flow in (None, FLOW)
        )

    async def after(self) -> None:
        """What was taken in is granted without being asked for again; statuses and new orders work."""

        async def granted() -> bool:
            return self.stack.forwarded(self.ordered)

        await until(granted, self.stack.logs)
        for name in ("early", "late"):
            session = await self.stack.settled(name, "Expired")
            assert session.spec.expires_at == session.status.expires_at
        newest = self.stack.new_phone()
        answer = await self.backend.insist(
            AUTHORIZE, pedidoId="P-after", **newest.address
        )
        assert answer.status == 200, answer
        assert self.stack.forwarded(newest)
        answer = await self.backend.insist(REVOKE, pedidoId="P-during")
        assert answer.status == 200, answer
        assert not self.stack.forwarded(self.ordered)
        orders = [
            one.spec.order_id
            for one in await self.stack.sessions(everything=True)
            if one.spec.order_id
        ]
        assert sorted(orders) == ["P-after", "P-before", "P-during"]
        await self.stack.check_equal()
        assert self.stack.pids() == self.pids, self.stack.logs()


async def test_api_server_stopped_and_started(
    control_plane: ControlPlane, open_stack: OpenStack
) -> None:
    outage = Outage(Lane(await open_stack(**LIMITS)))
    await outage.before(AWAY)
    async with outage.lane.watched():
        async with api_server_stopped(control_plane):
            await outage.during(AWAY)
        await outage.after()


async def test_a_spell_of_401(
    control_plane: ControlPlane, open_stack: OpenStack, api_proxy: FaultProxy
) -> None:
    """The credentials are refused for a while, by every answer, and the open watches are cut."""
    outage = Outage(Lane(await open_stack(api_proxy.url, **LIMITS)))
    await outage.before(REFUSING)
    async with outage.lane.watched():
        refused = api_proxy.answer(401)
        api_proxy.cut_watches()
        await outage.during(REFUSING)

        async def refused_often() -> bool:
            return refused.hits > 20

        await until(refused_often, "our processes are refused")
        refused.end()
        await outage.after()


async def test_crds_applied_again_under_load(
    control_plane: ControlPlane, open_stack: OpenStack
) -> None:
    """E10, E13: the API server serves our kinds anew, again and again, while orders come in."""
    stack = await open_stack(**LIMITS)
    lane, backend, stop = (
        Lane(stack),
        Backend(stack.bridge_port),
        asyncio.Event(),
    )
    stack.start()
    await lane.begin()
    pids = stack.pids()
    numbers = iter(range(10_000))

    async def order() -> None:
        while not stop.is_set():
            phone, name = stack.new_phone(), f"P-{next(numbers)}"
            answer = await backend.insist(
                AUTHORIZE, pedidoId=name, planoMinutos=60, **phone.address
            )
            assert answer.status == 200, answer
            lane.paying.append(phone)

    async def some_orders() -> bool:
        return len(lane.paying) > 5

    async with lane.watched():
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(order())
            for turn in range(10 if LONG else 4):
                await asyncio.to_thread(
                    _change_crds, control_plane, f"changed {turn}"
                )
                await asyncio.to_thread(apply.apply_crds, control_plane)
            await until(some_orders, stack.logs)
            stop.set()
        await stack.check_equal()
    assert stack.pids() == pids, stack.logs()


async def test_crds_applied_after_our_processes_started(
    tmp_path: Path,
) -> None:
    """E10: they wait without ending, and go to work when the kinds are served."""
    with ControlPlane(tmp_path / "plane") as plane:
        async with stacks_on(plane, tmp_path) as opened:
            stack = await opened(device=None, **LIMITS)
            stack.start()

            async def waiting() -> bool:
                return all(
                    program.said("CRDs not served")
                    for program in stack.programs.values()
                )

            await until(waiting, stack.logs)
            await asyncio.sleep(3)
            pids = stack.pids()
            assert pids.keys() == stack.programs.keys(), stack.logs()
            await asyncio.to_thread(apply.apply_crds, plane)
            await stack.make_device()
            lane = Lane(stack)
            await lane.begin()
            phone = stack.new_phone()
            answer = await Backend(stack.bridge_port).insist(
                AUTHORIZE, pedidoId="P-1", **phone.address
            )
            assert answer.status == 200, answer
            assert stack.forwarded(phone)
            await stack.check_equal()
            assert stack.pids() == pids, stack.logs()


def _change_crds(plane: ControlPlane, text: str) -> None:
    """Change the schemas, so that the API server takes up new ones and ends the watches."""
    path = "/spec/versions/0/schema/openAPIV3Schema/description"
    patch = json.dumps([{"op": "replace", "path": path, "value": text}])
    for plural in ("sessions", "devices"):
        plane.kubectl(
            "patch",
            "crd",
            f"{plural}.relay.cerebro.dev",
            "--type=json",
            "-p",
            patch,
        )

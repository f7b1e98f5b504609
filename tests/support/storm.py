"""A storm over some routers: Sessions come and go, everything goes wrong, and somebody looks at packets all the while.

All chance comes from one seed. The agent's loops and the routers are those of `live_devices`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cerebro.resources import format_time
from simulator.control_server import act
from simulator.errors import Trap
from simulator.router import Router
from support.live_devices import LiveDevices

BINDING, LIST = "/ip/hotspot/ip-binding", "/ip/firewall/address-list"
MENUS = (BINDING, LIST, "/ip/hotspot/host", "/ip/hotspot/active")
FAULT_LASTS = 1.0
"""Seconds after which a fault is over by itself."""
ON_HAND = "put by hand \udcff\udc80"
"""A person's comment, in a code page that is not UTF-8."""
SETTINGS: dict[str, Any] = {
    "resyncInterval": "3s",
    "circuitBreaker": {"recoveryTime": "1s"},
    "api": {"timeout": "1s"},
}
"""What takes minutes in life takes seconds here."""


@dataclass
class Phone:
    """A client with its only Session, and what was seen of it."""

    name: str
    router: Router
    mac: str
    ip: str
    ends_at: float = 0.0
    """When its access ends, by the monotonic clock."""
    begun: bool = False
    lawless: float = 0.0
    """Seconds of its present time online without a live Session, while its
    router could be reached.
    """
    lawless_at_most: float = 0.0

    def is_live(self, now: float) -> bool:
        """Return whether it has a live Session."""
        return self.begun and now < self.ends_at


@dataclass
class Storm:
    """Runs for some seconds; `check` judges what was left."""

    live: LiveDevices
    routers: int
    sessions: int
    seconds: float
    seed: int
    look_every: float = 0.05
    """Seconds between two looks at all packets."""
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    looks: int = 0
    phones: list[Phone] = field(default_factory=list)
    faulty_until: dict[str, float] = field(default_factory=dict)
    """By router: until when it may be out of reach."""
    by_hand: dict[str, list[str]] = field(default_factory=dict)
    """By router: ids of the rows that a person made."""

    async def run(self) -> None:
        """Let everything happen, and wait until all is quiet again."""
        choose = random.Random(self.seed)
        await self._begin(choose)

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._watch())
            await asyncio.gather(
                self._sessions(random.Random(self.seed + 1)),
                self._faults(random.Random(self.seed + 2)),
            )
            await self._calm()
            watching.cancel()

    async def _begin(self, choose: random.Random) -> None:
        """Make the routers, their Devices, and the phones behind them."""
        for number in range(self.routers):
            router = await self.live.simulator.add_router(
                f"r{number}",
                seed=choose.randrange(1 << 30),
                version=choose.choice(["7.12", "7.17", "7.21.5"]),
                reorder_commands=choose.random() < 0.5,
                tag_position=choose.choice(["front", "end"]),
                extra_keys=choose.random() < 0.3,
            )
            values = {"address": "10.99.0.0/24", "list": "x"}
            row = act(router, LIST, "add", {**values, "comment": ON_HAND})
            self.by_hand[router.name] = [str(row)]
            self.live.has_device(router, **SETTINGS)

        for number in range(self.sessions):
            at = number % self.routers
            high, low = divmod(number // self.routers, 200)
            mac = f"AA:{at:02X}:00:00:{high:02X}:{low:02X}"
            ip = f"10.{at}.{high}.{low + 1}"
            router = self.live.simulator.routers[f"r{at}"]
            router.network.move_in(mac, ip)
            self.phones.append(Phone(f"s{number}", router, mac, ip))

    async def _sessions(self, choose: random.Random) -> None:
        """Let Sessions begin, and half of them end, by their time or before."""
        begin = time.monotonic()
        moments: list[tuple[float, Callable[[], None]]] = []
        for phone in self.phones:
            at = choose.random() * self.seconds * 0.8
            lasts = choose.uniform(0.5, self.seconds * 0.4)
            how = choose.choice(["stays", "stays", "expires", "revoked"])
            by_mac = {"macAddress": phone.mac}
            client = {"ipAddress": phone.ip} | (
                by_mac if choose.random() < 0.8 else {}
            )
            moments.append((at, self._coming(phone, client, how, lasts)))
            if how == "revoked":
                moments.append((at + lasts, self._going(phone)))

        for at, happens in sorted(moments, key=lambda moment: moment[0]):
            await asyncio.sleep(max(0.0, begin + at - time.monotonic()))
            happens()

    def _coming(
        self, phone: Phone, client: dict[str, str], how: str, lasts: float
    ) -> Callable[[], None]:
        def comes() -> None:
            spec: dict[str, Any] = {}
            phone.ends_at = float("inf")
            if how == "expires":
                # The API has whole seconds.
                end = datetime.now(UTC) + timedelta(seconds=lasts + 1)
                end = end.replace(microsecond=0)
                left = (end - datetime.now(UTC)).total_seconds()
                phone.ends_at = time.monotonic() + left
                spec["expiresAt"] = format_time(end)

            phone.begun = True
            self.live.has_session(
                phone.name, phone.router.name, client, **spec
            )

        return comes

    def _going(self, phone: Phone) -> Callable[[], None]:
        def goes() -> None:
            phone.ends_at = time.monotonic()
            self.live.revoke(phone.name)

        return goes

    # --- faults

    async def _faults(self, choose: random.Random) -> None:
        """Let something go wrong at some router, again and again."""
        names = list(self.live.simulator.routers)
        kinds = list(_FAULTS)
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            await asyncio.sleep(choose.expovariate(1.0 * self.routers))
            router = self.live.simulator.routers[choose.choice(names)]
            now = time.monotonic()
            if self.faulty_until.get(router.name, 0.0) > now:
                continue

            kind = choose.choice(kinds)
            self.faults[kind] += 1
            self.faulty_until[router.name] = now + FAULT_LASTS
            await _FAULTS[kind](router, choose)
            asyncio.get_running_loop().call_later(
                FAULT_LASTS, self._mended, router
            )

    def _mended(self, router: Router) -> None:
        task = asyncio.ensure_future(router.set_faults({}))
        task.add_done_callback(lambda done: done.exception())

    # --- what is seen

    async def _watch(self) -> None:
        """Send a packet of each phone, again and again."""
        before = time.monotonic()
        while True:
            await asyncio.sleep(self.look_every)
            now = time.monotonic()
            for number, phone in enumerate(self.phones):
                self._look(phone, now, now - before)
                if number % 200 == 199:
                    await asyncio.sleep(0)

            self.looks += 1
            before = now

    def _look(self, phone: Phone, now: float, since: float) -> None:
        if not phone.router.network.packet(phone.mac).forwarded:
            phone.lawless = 0.0
            return

        if phone.is_live(now):
            return

        if self.live.enforced(phone.name):
            self.wrong.append(f"{phone.name} is said to be ended, and is not")

        if self.faulty_until.get(phone.router.name, 0.0) < now:
            phone.lawless += since
            phone.lawless_at_most = max(phone.lawless_at_most, phone.lawless)

    # --- the end

    async def _calm(self) -> None:
        """End all faults, and wait until each phone has what it is to have."""
        await asyncio.sleep(FAULT_LASTS * 2)
        for router in self.live.simulator.routers.values():
            await router.set_faults({})

        await self.live.until(
            lambda: not any(map(self._not_equal, self.phones)), "equality"
        )

        for name in self.live.simulator.routers:
            await self.live.until_ready("Device", name, "Equal")

    def _not_equal(self, phone: Phone) -> bool:
        wanted = phone.is_live(time.monotonic())
        phase = self.live.phase(phone.name)
        has_right_phase = (phase == "Active") is wanted
        is_online = phone.router.network.packet(phone.mac).forwarded

        return is_online is not wanted or not has_right_phase

    def rows_too_many(self) -> list[str]:
        """Return what is on the routers besides a binding and a list row for
        each live Session, and besides what a person made.
        """
        now = time.monotonic()
        bad = []
        for name, router in self.live.simulator.routers.items():
            live = sum(
                phone.is_live(now)
                for phone in self.phones
                if phone.router is router
            )
            for menu in (BINDING, LIST):
                marked = [
                    row
                    for row in router.show(menu)
                    if row.get("comment", "").startswith("cerebro:main:")
                ]
                if len(marked) != live:
                    bad.append(f"{name} {menu}: {len(marked)}, not {live}")

            for row_id in self.by_hand[name]:
                if row_id not in router.tables[LIST].rows:
                    bad.append(f"{name}: a person's row {row_id} is gone")

        return bad

    def figures(self) -> str:
        """Return what was seen, in a line."""
        begun = sum(phone.begun for phone in self.phones)
        longest = max(phone.lawless_at_most for phone in self.phones)

        return (
            f"seed {self.seed}: {self.routers} routers, {begun} Sessions, {sum(self.faults.values())} faults "
            f"{dict(self.faults)}, {self.looks} looks; longest online without a Session while the router was in reach: "
            f"{longest:.2f} s"
        )

    @property
    def longest_lawless(self) -> float:
        """Return the longest time online without a live Session while the
        router could be reached, in seconds.
        """
        return max(phone.lawless_at_most for phone in self.phones)


async def _cut(router: Router, _choose: random.Random) -> None:
    await router.set_faults({"cut": True})


async def _cut_at_byte(router: Router, choose: random.Random) -> None:
    way = choose.choice(["drop_after_bytes", "drop_after_received"])
    await router.set_faults({way: choose.randrange(4000)})


async def _stall(router: Router, choose: random.Random) -> None:
    await router.set_faults({"stall_ms": choose.randrange(100, 1000)})


async def _trap(router: Router, choose: random.Random) -> None:
    menu = choose.choice(MENUS)
    verb = choose.choice(["print", "add", "set", "remove"])
    trap = {
        "path": menu,
        "verb": verb,
        "message": choose.choice(["action timed out (13)", "failure"]),
        "times": choose.randint(1, 5),
        "after_rows": choose.randint(0, 3) if verb == "print" else 0,
    }
    await router.set_faults({"trap": trap})


async def _slow(router: Router, choose: random.Random) -> None:
    slow = {"path": choose.choice(MENUS), "verb": "print", "ms": 400}
    await router.set_faults({"slow": slow, "bandwidth": 20_000})


async def _silence(router: Router, choose: random.Random) -> None:
    await router.set_faults({choose.choice(["hang", "blackhole"]): True})


async def _refuse(router: Router, _choose: random.Random) -> None:
    await router.set_faults({"refuse": True, "cut": True})


async def _reboot(router: Router, _choose: random.Random) -> None:
    router.reboot(0.5)


async def _emptied(router: Router, _choose: random.Random) -> None:
    """Lose the rows that bear a marker, as by a backup of before, and reboot."""
    for menu in (BINDING, LIST):
        table = router.tables[menu]
        for row in list(table.rows.values()):
            if row.values.get("comment", "").startswith("cerebro:"):
                table.remove(row)

    router.reboot(0.5)


async def _edited(router: Router, choose: random.Random) -> None:
    """Let a person disable or remove a row of ours, or copy it to another
    server.
    """
    rows = list(router.tables[BINDING].rows.values())
    if not rows:
        return

    row = choose.choice(rows)
    how = choose.choice(["set", "remove", "add"])
    words = {
        "set": {".id": row.id, "disabled": "yes"},
        "remove": {".id": row.id},
        "add": {"copy-from": row.id, "server": "hotspot1"},
    }
    with suppress(Trap):
        act(router, BINDING, how, words[how])


async def _clock(router: Router, choose: random.Random) -> None:
    router.clock.advance(choose.choice([60.0, 3600.0, 1_000_000.0]))


_FAULTS: dict[
    str, Callable[[Router, random.Random], Coroutine[Any, Any, None]]
] = {
    "cut": _cut,
    "cut at a byte": _cut_at_byte,
    "stall": _stall,
    "trap": _trap,
    "slow": _slow,
    "silence": _silence,
    "refuse": _refuse,
    "reboot": _reboot,
    "emptied": _emptied,
    "edited": _edited,
    "clock": _clock,
}

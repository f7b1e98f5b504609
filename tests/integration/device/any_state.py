"""Routers in any state and Sessions of any kind, as hypothesis draws them; and what has to hold of a router after
passes over it, told without a look at the plan.

A router's rows are made as a person at the router would; what its rules of uniqueness refuse is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from cerebro.resources import Session, SessionStatus, format_time
from integration.device.passes import BINDING, LIST, a_session
from simulator.control_server import act
from simulator.errors import Trap
from simulator.router import Router

MACS = [f"AA:BB:CC:00:00:0{digit}" for digit in range(5)]
IPS = [f"10.5.50.{digit}" for digit in range(1, 6)]
LATER = int((datetime.now(UTC) + timedelta(days=1)).timestamp())
"""The end of every Session that has one, in seconds since 1970."""

CONFIGURED = (BINDING, LIST, "/ip/hotspot", "/ip/hotspot/user")
"""Menus in which a person's rows are compared."""


def marker(key: str, end: int | str, installation: str = "main") -> str:
    """Return our comment for a client, as docs/operating.md describes it."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:10]
    return f"cerebro:{installation}:{digest}:{end}"


@dataclass(frozen=True)
class Wish:
    """A Session in short: whom it lets in, or (`ends`) no more."""

    mac: str | None
    ip: str | None
    until: int | None
    ends: bool

    def lets_in(self, mac: str, ip: str) -> bool:
        """Return whether it gives a client access."""
        if self.ends:
            return False

        return self.mac == mac if self.mac else self.ip == ip

    def session(self, name: str, status: SessionStatus | None) -> Session:
        """Return it as the API server would have it."""
        spec: dict[str, Any] = {"revoked": True} if self.ends else {}
        if self.until is not None:
            moment = datetime.fromtimestamp(self.until, UTC)
            spec["expiresAt"] = format_time(moment)

        return a_session(name, self.mac, self.ip, status=status, **spec)


@dataclass
class State:
    """Rows to be put on a router, who is behind it, and what is wished."""

    rows: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    clients: dict[str, str] = field(default_factory=dict)
    """Addresses by MAC."""
    online_before: bool = False
    """Whether the clients send a packet before the rows are there."""
    wishes: list[Wish] = field(default_factory=list)

    def sessions(self, told: Mapping[str, SessionStatus]) -> list[Session]:
        """Return the unfinished Sessions, with the statuses that the last pass
        led to, by name.
        """
        named = {f"s{at}": wish for at, wish in enumerate(self.wishes)}

        return [
            wish.session(name, told.get(name))
            for name, wish in named.items()
            if name not in told or not told[name].finished
        ]

    def put_on(self, router: Router) -> None:
        """Bring a router into this state."""
        for mac, ip in self.clients.items():
            router.network.move_in(mac, ip)
            if self.online_before:
                router.network.packet(mac)

        for menu, row in self.rows:
            with suppress(Trap):
                act(router, menu, "add", row)

        for mac in self.clients:
            router.network.packet(mac)


_keys = st.sampled_from([*MACS, *IPS])
_ends = st.sampled_from([LATER, "never", 1_000_000_000])
_comments = st.one_of(
    st.builds(marker, _keys, _ends),
    st.builds(marker, _keys, _ends, st.just("else")),
    st.sampled_from(["pedido:1", "paid:2", "by hand", "cerebro:main:x", ""]),
)
_flags = st.sampled_from(["no", "no", "no", "yes"])


@st.composite
def _bindings(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    row = {
        "type": draw(st.sampled_from(["bypassed", "regular", "blocked"])),
        "comment": draw(_comments),
        "disabled": draw(_flags),
    }
    by = draw(st.sampled_from(["mac", "mac", "ip", "both"]))
    if by != "ip":
        row["mac-address"] = draw(st.sampled_from(MACS))
    if by != "mac":
        row["address"] = draw(st.sampled_from(IPS))
    if draw(st.booleans()):
        row["server"] = draw(st.sampled_from(["all", "hotspot1"]))

    return BINDING, row


@st.composite
def _entries(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    row = {
        "list": draw(st.sampled_from(["paid_clients", "paid_clients", "x"])),
        "address": draw(st.sampled_from([*IPS, "10.5.50.0/24"])),
        "comment": draw(_comments),
        "disabled": draw(_flags),
    }
    if draw(st.integers(0, 5)) == 0:
        row["timeout"] = "1h"

    return LIST, row


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    """Return a Session by MAC, by address, or by both."""
    by = draw(st.sampled_from(["mac", "both", "both", "ip"]))

    return Wish(
        mac=None if by == "ip" else draw(st.sampled_from(MACS)),
        ip=None if by == "mac" else draw(st.sampled_from(IPS)),
        until=draw(st.sampled_from([None, LATER])),
        ends=draw(st.integers(0, 3)) == 0,
    )


@st.composite
def states(draw: st.DrawFn) -> State:
    """Return any state."""
    macs = draw(st.lists(st.sampled_from(MACS), unique=True))
    ips = draw(st.permutations(IPS))

    return State(
        rows=draw(st.lists(st.one_of(_bindings(), _entries()), max_size=8)),
        clients=dict(zip(macs, ips, strict=False)),
        online_before=draw(st.booleans()),
        wishes=draw(st.lists(wishes(), max_size=5)),
    )


# --- what has to hold


def is_ours(row: dict[str, str]) -> bool:
    """Return whether a row bears our marker, and is none that the router made."""
    comment = row.get("comment", "")
    parts = comment.split(":")
    is_dynamic = row.get("dynamic") == "true"

    return (
        parts[:2] == ["cerebro", "main"] and len(parts) == 4 and not is_dynamic
    )


def is_older_relays(row: dict[str, str]) -> bool:
    """Return whether a row is one that may be taken over (rule B4)."""
    is_dynamic = row.get("dynamic") == "true"

    return row.get("comment", "")[:5] in ("pedid", "paid:") and not is_dynamic


def rows_of_others(router: Router) -> dict[str, list[dict[str, str]]]:
    """Return the rows that nobody may touch, by menu, in their order; without
    the remaining time, which runs by itself.
    """
    return {
        menu: [
            {name: text for name, text in row.items() if name != "timeout"}
            for row in router.show(menu)
            if not is_ours(row) and not is_older_relays(row)
        ]
        for menu in CONFIGURED
    }


def rows_of_all(router: Router) -> dict[str, list[dict[str, str]]]:
    """Return all rows by menu, and who is logged in or seen; ages left out."""
    menus = (*CONFIGURED, "/ip/hotspot/host", "/ip/hotspot/active")
    ages = ("timeout", "uptime", "idle-time")

    return {
        menu: [
            {name: text for name, text in row.items() if name not in ages}
            for row in router.show(menu)
        ]
        for menu in menus
    }


def wrong_marks(router: Router, state: State) -> list[str]:
    """Return the rows of ours that no live Session explains; the client may be
    marked by its MAC or by an address that it has or had.
    """
    live = [wish for wish in state.wishes if not wish.ends]
    at = {ip: mac for mac, ip in state.clients.items()}
    explained = set()

    for wish in live:
        keys = {wish.mac, wish.ip, at.get(wish.ip or "")}
        keys.add(state.clients.get(wish.mac or ""))
        for key in keys - {None}:
            ends = ("never", LATER)
            explained |= {marker(str(key), end) for end in ends}

    marked = [row for menu in (BINDING, LIST) for row in router.show(menu)]

    return [
        row["comment"]
        for row in marked
        if is_ours(row) and row["comment"] not in explained
    ]


def wrong_clients(router: Router, state: State) -> list[str]:
    """Return clients that are online without a live Session or offline with
    one. Those are left out about whom rows of others say something.
    """
    spoken_of = _spoken_of(router)
    wrong = []

    for mac, ip in state.clients.items():
        if {mac, ip} & spoken_of:
            continue

        wanted = any(wish.lets_in(mac, ip) for wish in state.wishes)
        if router.network.packet(mac).forwarded is not wanted:
            wrong.append(f"{mac} at {ip}, wanted {wanted}")

    return wrong


def _spoken_of(router: Router) -> set[str]:
    """Return MACs and addresses of bindings that are not ours."""
    return {
        row[name]
        for row in router.show(BINDING)
        if not is_ours(row)
        for name in ("mac-address", "address")
        if name in row
    }

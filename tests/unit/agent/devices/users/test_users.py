"""The pass over hotspot users that follows a pass over access (rules A11, B0, B1, B3, B7)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cerebro.agent.devices.access.desired import PassContext
from cerebro.agent.devices.access.outcome import PassResult, session_obstacle
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.roster import Roster
from cerebro.agent.devices.users.desired import UserOrders
from cerebro.agent.devices.users.passwords import read_passwords
from cerebro.agent.devices.users.reconcile import DeviceUsers, remove_all
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.kube.client.errors import NotFound
from cerebro.resources import Device, Session
from cerebro.routeros.access.marker import marker_for
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.access.user_model import MASKED, user_key
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import SecretError, Trap
from support.faked_router import FakedRouter
from support.tables import Tables

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
MAC, IP = "AA:00:00:00:00:01", "10.5.50.1"
USERS = "/ip/hotspot/user"


class Router(FakedRouter):
    """One that may refuse commands, by path and verb."""

    def __init__(self) -> None:
        super().__init__(Tables())
        self.refuses: dict[tuple[str, str], str] = {}
        self.prints: list[str] = []

    async def run_all(self, commands: Sequence[Command]) -> list[Reply | Trap]:
        replies: list[Reply | Trap] = []
        for command in commands:
            message = self.refuses.get((command.path, command.verb))
            if command.reads:
                self.prints.append(command.path)
            if message is not None:
                replies.append(Trap(command.path, [message]))
            else:
                replies += await super().run_all([command])
        return replies


def a_session(name: str, user: str = "", **spec: Any) -> Session:
    status = spec.pop("status", {})
    if user:
        spec["hotspotUser"] = {"name": user, **spec.pop("more", {})}
    return Session.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": "ns",
                "uid": name,
                "generation": 1,
                "creationTimestamp": NOW.isoformat(),
            },
            "spec": {"deviceRef": {"name": "d"}, **spec},
            "status": status,
        }
    )


@dataclass
class World:
    """A router, its Sessions, and passes over them as the loop makes them."""

    router: Router = field(default_factory=Router)
    passwords: dict[str, str | SecretError] = field(default_factory=dict)
    waits: float = 0.0
    urgent: bool = False
    looked_again: list[str] = field(default_factory=list)
    users: DeviceUsers = field(init=False)

    def __post_init__(self) -> None:
        self.users = DeviceUsers(
            self.looked_again.append, RemovalWindow(settle=0.0)
        )

    async def read(
        self, sessions: Sequence[Session]
    ) -> dict[str, str | SecretError]:
        await asyncio.sleep(self.waits)
        uids = [session.metadata.uid for session in sessions]
        return {
            uid: self.passwords[uid] for uid in uids if uid in self.passwords
        }

    async def look(
        self, *sessions: Session, changed: Sequence[Session] | None = None
    ) -> PassResult:
        access = AccessReconciler(
            self.router.session,
            AccessPolicy(),
            PassContext(NOW, complete=True),
            removals=RemovalWindow(settle=0.0),
            urgent=lambda: self.urgent,
        )
        roster = Roster.of(sessions)
        result = await access.run(roster, changed)
        return await self.users.take(
            access, roster, result, self.read, everything=changed is None
        )

    def names(self) -> list[str]:
        return [row["name"] for row in self.router.tables.users]


def a_device() -> Device:
    return Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns"},
            "spec": {
                "api": {
                    "address": "192.0.2.1",
                    "credentialsSecretRef": {"name": "c"},
                }
            },
        }
    )


def why(result: PassResult, uid: str) -> str | None:
    """Return the reason of what keeps a Session from being as desired."""
    decision = next(
        each for each in result.judged if each.session.metadata.uid == uid
    )
    obstacle = session_obstacle(a_device(), result, decision, contested=False)
    return None if obstacle is None else obstacle.reason


async def test_b0_users_that_are_not_printed_are_unread_and_delay_nobody() -> (
    None
):
    world = World()
    world.router.refuses[USERS, "print"] = "interrupted"
    guest = a_session("guest", "g1")
    ended = a_session("ended", "g2", revoked=True)
    paid = a_session("paid", client={"macAddress": MAC})
    result = await world.look(guest, ended, paid)
    assert [why(result, uid) for uid in ("guest", "ended", "paid")] == [
        "UsersNotRead",
        "UsersNotRead",
        None,
    ]
    assert not result.settled
    assert [row["mac-address"] for row in world.router.tables.bindings] == [
        MAC
    ]


async def test_b0_what_is_told_of_a_session_costs_the_same_among_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The names of all users are gathered for the pass, not for each Session."""
    gathered = 0

    def wanted_names(orders: UserOrders) -> frozenset[str]:
        nonlocal gathered
        gathered += 1
        return frozenset(user.name for user in orders.users)

    monkeypatch.setattr(UserOrders, "wanted_names", property(wanted_names))
    counts = []
    for number in (2, 40):
        world = World()
        sessions = [
            a_session(f"s{n}", f"u{n}", expiresAt=LATER) for n in range(number)
        ]
        await world.look(*sessions)
        gathered = 0
        result = await world.look(*sessions)
        assert all(result.users[f"s{n}"].done for n in range(number))
        counts.append(gathered)
    assert counts[0] == counts[1]


async def test_b0_a_refused_write_concerns_its_own_session() -> None:
    world = World()
    world.router.refuses[USERS, "set"] = (
        "input does not match any value of profile"
    )
    for name in ("g1", "g2"):
        comment = str(marker_for("main", user_key(name), LATER.timestamp()))
        world.router.tables.put("users", name=name, comment=comment)
    odd = a_session("odd", "g1", more={"profile": "none"}, expiresAt=LATER)
    good = a_session("good", "g2", expiresAt=LATER)
    result = await world.look(odd, good)
    assert why(result, "odd") == "RefusedByRouter"
    assert "spec.hotspotUser.profile" in str(result.users["odd"].obstacle)
    assert result.users["good"].done

    # It is looked at again by itself, and not the whole router.
    assert result.settled
    await asyncio.sleep(1.1)
    assert world.looked_again == ["odd"]


async def test_b0_a_pass_over_users_gives_way_to_a_client_that_waits() -> None:
    world = World(waits=5.0, urgent=True)
    result = await world.look(a_session("guest", "g1"))
    assert result.interrupted
    assert world.names() == []


async def test_a_secret_that_is_missing_is_the_session_s_and_read_again() -> (
    None
):
    world = World(passwords={"guest": SecretError("Secret s is missing")})
    guest, good = a_session("guest", "g1"), a_session("good", "g2")
    for _ in range(2):
        result = await world.look(guest, good)
    assert why(result, "guest") == "SecretNotUsable"
    assert result.settled
    assert world.names() == ["g2"]
    await asyncio.sleep(1.1)
    assert world.looked_again == ["guest"]
    world.passwords["guest"] = "drawn"
    result = await world.look(guest, good, changed=[guest])
    assert result.users["guest"].done
    assert world.names() == ["g2", "g1"]


async def test_b7_a_password_that_is_masked_is_set_once() -> None:
    world = World(passwords={"guest": "first"})
    guest = a_session("guest", "g1")
    await world.look(guest)
    (row,) = world.router.tables.users
    row["password"] = MASKED
    written = len(world.router.written)
    await world.look(guest)
    assert len(world.router.written) == written
    world.passwords["guest"] = "second"
    await world.look(guest)
    assert row["password"] == "second"


async def test_b3_a_user_that_another_live_session_names_stays() -> None:
    world = World()
    first, second = a_session("first", "g1"), a_session("second", "g1")
    await world.look(first, second)
    ended = a_session("first", "g1", revoked=True)
    result = await world.look(ended, second, changed=[ended])
    assert result.users["first"].done
    assert world.names() == ["g1"]
    gone = a_session("second", "g1", revoked=True)
    await world.look(gone, changed=[gone])
    assert world.names() == []


async def test_a_session_that_names_another_user_leaves_the_first() -> None:
    world = World()
    await world.look(a_session("guest", "g1"))
    renamed = a_session("guest", "g2")
    await world.look(renamed, changed=[renamed])
    assert world.names() == ["g2"]


async def test_a11_a_duration_goes_on_from_the_marker_of_the_user() -> None:
    world = World()
    end = (NOW + timedelta(minutes=20)).timestamp()
    comment = str(marker_for("main", user_key("g1"), end))
    world.router.tables.put("users", name="g1", comment=comment)
    result = await world.look(a_session("guest", "g1", duration="30m"))
    (decision,) = result.judged
    assert decision.verdict.authorized_at == NOW - timedelta(minutes=10)
    assert world.router.tables.users[0]["comment"] == comment


async def test_e13_a_user_goes_whose_session_was_deleted() -> None:
    world = World()
    paid = a_session("paid", client={"macAddress": MAC})
    await world.look(paid)
    guest = a_session("guest", "g1")
    await world.look(paid, guest, changed=[guest])
    assert world.names() == ["g1"]
    await world.look(paid)
    assert world.names() == []


async def test_nothing_is_read_where_no_session_has_a_user() -> None:
    world = World()
    paid = a_session("paid", client={"macAddress": MAC})
    await world.look(paid)
    assert world.router.prints.count(USERS) == 1
    await world.look(paid)
    await world.look(paid, changed=[paid])
    assert world.router.prints.count(USERS) == 1


async def test_the_login_of_a_live_user_is_not_that_of_an_ended_session() -> (
    None
):
    world = World()
    tables = world.router.tables
    tables.put("active", user="g1", mac_address=MAC, address=IP)
    tables.put("cookies", user="g1", mac_address=MAC)
    tables.put("hosts", mac_address=MAC, address=IP, authorized="true")
    guest = a_session("guest", "g1")
    ended = a_session("hour", client={"macAddress": MAC}, revoked=True)
    result = await world.look(guest, ended)
    (ending,) = result.plan.endings.values()
    assert ending.enforced
    assert len(tables.active) == len(tables.cookies) == len(tables.hosts) == 1

    # Its own end ends it.
    gone = a_session("guest", "g1", revoked=True)
    await world.look(gone, ended)
    assert (
        tables.active == tables.cookies == tables.hosts == tables.users == []
    )


async def test_a8_all_users_of_ours_go_with_the_device() -> None:
    world = World()
    await world.look(a_session("guest", "g1"))
    world.router.tables.put("users", name="boss", comment="by hand")
    access = AccessReconciler(
        world.router.session,
        AccessPolicy(),
        PassContext(NOW, complete=True),
        removals=RemovalWindow(settle=0.0),
        confirmed=100,
    )
    nobody = Roster()
    result = await access.run(nobody, None)
    result = await remove_all(access, nobody, result)
    assert result.settled
    assert world.names() == ["boss"]


# --- Secrets


async def test_secrets_are_read_side_by_side_and_each_fault_is_its_own() -> (
    None
):
    running = most = 0

    async def get_secret(_namespace: str, name: str) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if name == "missing":
            raise NotFound("no such Secret")
        return SimpleNamespace(
            name=name,
            type="relay.cerebro.dev/router",
            annotations={"relay.cerebro.dev/device": "e"}
            if name == "elsewhere"
            else {},
            data={"password": b"drawn"},
        )

    api = cast(Any, SimpleNamespace(get_secret=get_secret))
    names = ["one", "two", "missing", "elsewhere"]
    sessions = [
        a_session(
            name, f"u-{name}", more={"passwordSecretRef": {"name": name}}
        )
        for name in names
    ]
    secrets = await read_passwords(
        api, a_device(), [*sessions, a_session("none", "u")]
    )
    assert most == len(names)
    assert secrets.keys() == set(names)
    assert secrets["one"] == secrets["two"] == "drawn"
    assert "missing" in str(secrets["missing"])
    assert "'e'" in str(secrets["elsewhere"])


async def test_d2_a_session_over_http_needs_a_secret_that_names_its_device() -> (
    None
):
    async def get_secret(_namespace: str, name: str) -> Any:
        return SimpleNamespace(
            name=name,
            type="relay.cerebro.dev/router",
            annotations={},
            data={"password": b"drawn"},
        )

    api = cast(Any, SimpleNamespace(get_secret=get_secret))
    session = a_session("s", "u", more={"passwordSecretRef": {"name": "x"}})
    session.metadata.labels["app.kubernetes.io/managed-by"] = "cerebro-bridge"
    secrets = await read_passwords(api, a_device(), [session])
    assert "relay.cerebro.dev/device" in str(secrets["s"])


@pytest.mark.parametrize("held", [True, False])
async def test_b8_a_held_user_is_written_later(held: bool) -> None:
    world = World()
    guest = a_session("guest", "g1")
    access = AccessReconciler(
        world.router.session,
        AccessPolicy(),
        PassContext(NOW, complete=True, hold="Paused" if held else None),
    )
    roster = Roster.of([guest])
    result = await access.run(roster, None)
    await world.users.take(access, roster, result, world.read, everything=True)
    assert world.names() == ([] if held else ["g1"])

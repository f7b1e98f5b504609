"""Passes over a router where something happens in between, or where clients meet (rules B1, B2, B9, B10, A9, E1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.routeros.access.marker import marker_for
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.client.command import Command
from integration.device.passes import BINDING, LIST, a_session, passes

M, N = "AA:BB:CC:00:00:01", "AA:BB:CC:00:00:02"
X, Y, STALE = "10.5.50.11", "10.5.50.12", "10.5.50.99"


@pytest.mark.parametrize(
    ("access", "kind"), [("list", "regular"), ("hotspot", "bypassed")]
)
async def test_b1_a_packet_between_the_look_and_the_end_leaves_no_connection(
    access: str, kind: str
) -> None:
    """The rows let it through until they are gone, also where no host did before."""
    async with passes(access=access) as over:
        over.policy = AccessPolicy(binding_type=kind)
        over.router.network.move_in(M, X)
        _, said = await over.over(a_session("a", M, X))
        assert over.forwards(M)
        over.forget_hosts()
        ended = a_session(
            "a", M, X, status=said["a"], generation=2, revoked=True
        )
        let_through: list[bool] = []

        def packet_after_the_look(commands: Sequence[Command]) -> None:
            if (
                commands[0].path.endswith("ip-binding")
                and commands[0].verb == "print"
                and not let_through
            ):
                let_through.append(over.forwards(M, "call"))

        over.after = packet_after_the_look
        _, said = await over.over(ended, changed=[ended])
        assert let_through == [True]
        assert said["a"].finished
        assert not over.forwards(M, "call")


@pytest.mark.parametrize("asked", [{"mac": M}, {"mac": M, "ip": STALE}])
async def test_b2_the_end_of_a_client_takes_its_list_row_wherever_it_was_seen(
    asked: dict[str, Any],
) -> None:
    async with passes(access="list") as over:
        over.router.network.move_in(M, X)
        over.forwards(M)
        live = a_session("a", **asked)
        _, said = await over.over(live, changed=[live])
        assert [row["address"] for row in over.rows(LIST)] == [X], (
            "not at an address where nobody saw it"
        )
        assert said["a"].applied is not None
        assert said["a"].applied.ip_address == X
        assert over.forwards(M)
        over.forget_hosts()
        again = a_session("a", status=said["a"], **asked)
        await over.over(again)
        assert [row["address"] for row in over.rows(LIST)] == [X], (
            "nor when it is idle"
        )
        ended = a_session(
            "a", status=said["a"], generation=2, revoked=True, **asked
        )
        _, said = await over.over(ended, changed=[ended])
        assert said["a"].finished
        assert over.rows(LIST) == []
        assert not over.forwards(M)


async def test_b2_the_end_of_a_client_takes_its_rows_at_every_address() -> (
    None
):
    async with passes(access="list") as over:
        for ip in (X, Y):
            over.router.network.move_in(M, ip)
            over.forwards(M)
        _, said = await over.over(a_session("a", M, X))
        assert len(over.rows(LIST)) == 2
        ended = a_session(
            "a", M, X, status=said["a"], generation=2, revoked=True
        )
        _, said = await over.over(ended, changed=[ended])
        assert said["a"].finished
        assert over.rows(LIST) == []


async def test_b2_who_pays_at_an_address_is_not_cut_off_by_the_end_of_who_had_it() -> (
    None
):
    async with passes() as over:
        idle = a_session("idle", ip=X)
        _, said = await over.over(idle, changed=[idle])
        before = said["idle"]
        over.router.network.move_in(N, Y)
        over.forwards(N)
        paying = a_session("paying", N, Y)
        _, said = await over.over(idle, paying, changed=[paying])
        paying = a_session("paying", N, Y, status=said["paying"])
        over.router.network.move_in(N, X)
        over.forget_hosts()
        assert over.forwards(N, "video")
        cut: list[Command] = []

        def note(commands: Sequence[Command]) -> None:
            cut.extend(
                one
                for one in commands
                if one.verb == "remove" and "binding" not in one.path
            )

        over.after = note
        ended = a_session(
            "idle", ip=X, status=before, generation=2, revoked=True
        )
        _, said = await over.over(ended, paying, changed=[ended])
        assert said["idle"].finished
        assert [
            one.path for one in cut if "address-list" not in one.path
        ] == []
        assert over.forwards(N, "video")


async def test_b2_a_revoke_by_address_says_who_got_it_meanwhile_and_ends_whom_the_bridge_names() -> (
    None
):
    """M paid at X and is at Y by now; N has got X. What each has ends by the revoke of its present address alone."""
    async with passes(access="list") as over:
        clients = {M: a_session("m", M, X), N: a_session("n", N, STALE)}
        for mac, ip in ((M, X), (N, STALE)):
            over.router.network.move_in(mac, ip)
        _, said = await over.over(*clients.values())
        live = {
            mac: a_session(one.name, mac, status=said[one.name])
            for mac, one in clients.items()
        }
        over.forget_hosts()
        for mac, ip in ((M, Y), (N, X)):
            over.router.network.move_in(mac, ip)
            over.forwards(mac)
        when = datetime.now(UTC).isoformat()
        record: dict[str, Any] = {
            "labels": {"app.kubernetes.io/managed-by": "cerebro-bridge"},
            "revoked": True,
        }
        record |= {"requestedAt": when, "revokedAt": when}
        asked = a_session("record", ip=X, **record)
        _, said = await over.over(asked, *live.values(), changed=[asked])
        assert said["record"].applied is not None
        assert said["record"].applied.mac_address == N
        assert not said["record"].finished
        assert (over.forwards(M), over.forwards(N)) == (True, True)
        named = a_session(
            "record", N, X, status=said["record"], generation=2, **record
        )
        ended = a_session("n", N, status=said["n"], generation=2, revoked=True)
        _, said = await over.over(
            named, live[M], ended, changed=[named, ended]
        )
        assert (said["record"].finished, said["n"].finished) == (True, True)
        assert (over.forwards(M), over.forwards(N)) == (True, False)


@pytest.mark.parametrize(
    "asked", [{"ip": X}, {"mac": M}], ids=["by address", "by MAC"]
)
@pytest.mark.parametrize(
    "bound_at", [X, None], ids=["bound to an address", "bound by MAC alone"]
)
@pytest.mark.parametrize("seen", [True, False], ids=["with a host", "idle"])
async def test_b4_a_revoke_takes_all_rows_of_the_older_relay(
    asked: dict[str, Any], bound_at: str | None, seen: bool
) -> None:
    """Where nobody but its rows knows the client; those of another stay."""
    async with passes(access="list") as over:
        for mac, ip, order in ((M, X, "pedido:pão"), (N, Y, "pedido:2")):
            address = {"address": ip} if bound_at else {}
            over.router.tables[BINDING].add(
                {
                    "mac-address": mac,
                    **address,
                    "type": "bypassed",
                    "comment": order,
                    "disabled": "false",
                }
            )
            over.router.tables[LIST].add(
                {
                    "list": "paid_clients",
                    "address": ip,
                    "comment": order,
                    "disabled": "false",
                }
            )
        over.router.network.move_in(M, X)
        if seen:
            assert over.forwards(M)
        ended = a_session("a", revoked=True, **asked)
        _, said = await over.over(ended, changed=[ended])
        assert said["a"].finished
        assert not over.forwards(M)
        assert [
            row["comment"]
            for menu in (BINDING, LIST)
            for row in over.rows(menu)
        ] == ["pedido:2"] * 2


@pytest.mark.parametrize(
    ("access", "kind"), [("list", "regular"), ("hotspot", "bypassed")]
)
async def test_a4_an_order_alone_ends_whom_the_older_relay_let_in(
    access: str, kind: str
) -> None:
    """Case T6: an agent that is killed after its first writes is followed by another that finishes."""
    async with passes(access=access) as over:
        over.policy = AccessPolicy(binding_type=kind)
        for mac, ip, order in ((M, X, "pedido:1"), (N, Y, "pedido:2")):
            over.router.tables[BINDING].add(
                {
                    "mac-address": mac,
                    "type": "bypassed",
                    "comment": order,
                    "disabled": "false",
                }
            )
            over.router.tables[LIST].add(
                {
                    "list": "paid_clients",
                    "address": ip,
                    "comment": order,
                    "disabled": "false",
                }
            )
            over.router.network.move_in(mac, ip)
            assert over.forwards(mac, "call")

        def killed_after_the_first_writes(commands: Sequence[Command]) -> None:
            if not commands[0].reads:
                raise ConnectionResetError

        ended = a_session("a", orderID="1", revoked=True)
        over.after = killed_after_the_first_writes
        with pytest.raises(ConnectionResetError):
            await over.over(ended, changed=[ended])
        over.after = lambda _: None

        _, said = await over.over(ended, changed=[ended])
        assert said["a"].finished
        assert not over.forwards(M, "call")
        assert over.forwards(N, "call")
        assert [
            row["comment"]
            for menu in (BINDING, LIST)
            for row in over.rows(menu)
        ] == ["pedido:2"] * 2


async def test_b9_an_object_that_names_nobody_holds_no_end_of_another_back() -> (
    None
):
    async with passes() as over:
        over.router.network.move_in(M, X)
        _, said = await over.over(a_session("a", M, X))
        assert over.forwards(M)
        ended = a_session(
            "a", M, X, status=said["a"], generation=2, revoked=True
        )
        _, said = await over.over(ended, frozen_all=True)
        assert said["a"].finished
        assert over.rows(BINDING) == []
        assert not over.forwards(M)


async def test_b9_every_row_with_the_marker_of_a_frozen_client_stays() -> None:
    async with passes(access="list") as over:
        over.router.network.move_in(M, X)
        over.forwards(M)
        await over.over(a_session("a", M))
        await over.over(frozen=frozenset({M}))
        assert over.forwards(M)


async def test_b10_one_order_after_another_is_not_contested() -> None:
    async with passes() as over:
        over.router.network.move_in(M, X)
        for number in range(6):
            over.now += 30
            live = a_session(f"order-{number}", M, X, duration="10m")
            _, said = await over.over(live, changed=[live])
            assert said[live.name].phase == "Active"
            assert over.forwards(M)
            ended = a_session(
                live.name,
                M,
                X,
                status=said[live.name],
                generation=2,
                duration="10m",
                revoked=True,
            )
            await over.over(ended, changed=[ended])
            assert not over.contest.contested(over.now)


async def test_b10_a_row_that_a_script_disables_again_and_again_is_contested() -> (
    None
):
    async with passes() as over:
        over.router.network.move_in(M, X)
        live = a_session("a", M, X)
        await over.over(live)
        for _ in range(3):
            assert not over.contest.contested(over.now)
            (row,) = over.router.tables[BINDING].rows.values()
            row.values["disabled"] = "true"
            await over.over(live)
        assert over.contest.contested(over.now)


async def test_b10_a_client_that_changes_its_address_is_not_contested() -> (
    None
):
    async with passes(access="list") as over:
        live = a_session("a", M)
        for number in range(6):
            over.router.network.move_in(M, f"10.5.50.{number + 10}")
            over.forget_hosts()
            over.forwards(M)
            await over.over(live)
            assert over.forwards(M)
            assert not over.contest.contested(over.now)


async def test_a9_under_a_wrong_clock_a_new_order_prolongs_nothing_for_a_client_that_is_in() -> (
    None
):
    async with passes() as over:
        over.router.network.move_in(M, X)
        _, said = await over.over(a_session("a", M, X, duration="10m"))
        before = over.rows(BINDING)
        first = a_session("a", M, X, duration="10m", status=said["a"])
        _, said = await over.over(
            first, a_session("b", M, X, duration="60m"), clock_trusted=False
        )
        assert said["b"].phase == "Pending"
        assert said["b"].authorized_at is None
        assert over.rows(BINDING) == before


async def test_e1_an_end_within_a_second_is_looked_at_again_when_the_marker_has_passed() -> (
    None
):
    """The marker is in whole seconds, rounded up; without the Lease only what it says counts."""
    async with passes() as over:
        over.router.network.move_in(M, X)
        end = datetime.now(UTC).replace(microsecond=300_000) + timedelta(
            hours=1
        )
        live = a_session("a", M, X, expiresAt=end.isoformat())
        _, said = await over.over(live)
        live = a_session(
            "a", M, X, expiresAt=end.isoformat(), status=said["a"]
        )
        early: dict[str, Any] = {
            "now": end + timedelta(milliseconds=10),
            "hold": "NoLease",
            "passed_only": True,
        }
        outcome, _ = await over.over(live, **early)
        assert not outcome.settled
        assert over.forwards(M)
        outcome, said = await over.over(
            live, **{**early, "now": end + timedelta(seconds=1)}
        )
        assert outcome.settled
        assert said["a"].finished
        assert not over.forwards(M)


async def test_e1_without_the_lease_a_row_whose_own_marker_goes_on_stays() -> (
    None
):
    """It bears the mark of another client, and the address of the one that ended."""
    async with passes(access="list") as over:
        other = str(marker_for("main", N, None))
        over.router.tables[LIST].add(
            {
                "list": "paid_clients",
                "address": X,
                "comment": other,
                "disabled": "false",
            }
        )
        ended = a_session("a", ip=X, revoked=True)
        await over.over(ended, passed_only=True, hold="NoLease")
        assert [row["comment"] for row in over.rows(LIST)] == [other]


async def test_a_removal_that_the_router_refuses_is_said() -> None:
    async with passes(group="read") as over:
        over.router.tables[BINDING].add(
            {
                "mac-address": M,
                "type": "bypassed",
                "comment": str(marker_for("main", M, None)),
                "disabled": "false",
            }
        )
        outcome, said = await over.over(a_session("a", M, X, revoked=True))
        enforced = said["a"].condition("Enforced")
        assert enforced is not None
        assert (enforced.status, enforced.reason) == ("False", "NotPermitted")
        assert "policies read, write and api" in enforced.message
        assert outcome.obstacle is not None
        assert not outcome.settled

"""The end of an order that names no client (rule A4): the older relay's rows say by their comments whom they let in.
Case T6. Rows in, commands out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cerebro.routeros.access.marker import client_id, marker_for
from cerebro.routeros.access.model import (
    AccessPolicy,
    DesiredAccess,
    Ending,
    Grant,
)
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.read import Scope, access_prints
from cerebro.routeros.access.result import AccessPlan, EndingView
from cerebro.routeros.access.tables import Actual
from support.tables import Tables

M, N = "AA:00:00:00:00:01", "AA:00:00:00:00:02"
X, Y = "10.5.50.1", "10.5.50.2"
ORDER, PAID, OTHER = "pedido:P-1", "paid:P-1", "pedido:P-2"
ENDING = Ending(None, frozenset(), revoked=True, order="P-1")


def bound(tables: Tables, mac: str, ip: str = "", order: str = ORDER) -> None:
    address = {"address": ip} if ip else {}
    named = {"mac_address": mac} if mac else {}
    tables.put("bindings", type="bypassed", comment=order, **named, **address)


def listed(tables: Tables, ip: str, order: str = PAID) -> None:
    tables.put("lists", list="paid_clients", address=ip, comment=order)


def seen(tables: Tables, mac: str, ip: str) -> None:
    """A phone that is let in, and has a connection."""
    tables.put("hosts", mac_address=mac, address=ip, bypassed="true")
    tables.put(
        "connections", src_address=f"{ip}:4000", dst_address="1.1.1.1:443"
    )


def planned(actual: Actual, *grants: Grant, **desired: Any) -> AccessPlan:
    wanted = DesiredAccess(grants, (ENDING,), **desired)
    return access_plan(wanted, actual, AccessPolicy())


def ended(tables: Tables, *grants: Grant, **desired: Any) -> EndingView:
    """Apply and plan again until nothing is left, as an agent does that forgets all between two looks."""
    for _ in range(4):
        result = planned(tables.actual(), *grants, **desired)
        if result.empty:
            return result.endings[ENDING]
        assert not result.endings[ENDING].enforced
        tables.apply(result.commands())
    pytest.fail(f"not settled: {list(result.commands())}")


def comments(tables: Tables) -> list[str]:
    return [row["comment"] for row in (*tables.bindings, *tables.lists)]


def test_a4_an_order_alone_takes_all_rows_with_its_comments_and_cuts_off() -> (
    None
):
    tables = Tables()
    bound(tables, M, X)
    bound(tables, N, Y, OTHER)
    listed(tables, X)
    listed(tables, Y, OTHER)
    for mac, ip in ((M, X), (N, Y)):
        seen(tables, mac, ip)
    assert ended(tables).enforced
    assert comments(tables) == [OTHER, OTHER]
    assert [row["mac-address"] for row in tables.hosts] == [N]
    assert [row["src-address"] for row in tables.connections] == [f"{Y}:4000"]


def test_a4_nothing_of_an_order_is_an_end_without_a_look_at_connections() -> (
    None
):
    tables = Tables()
    bound(tables, N, Y, OTHER)
    result = planned(replace(tables.actual(), connections=None))
    assert result.empty
    assert result.endings[ENDING].enforced
    assert not result.wants_connections


def test_a4_all_clients_of_an_order_are_cut_off() -> None:
    tables = Tables()
    for mac, ip in ((M, X), (N, Y)):
        bound(tables, mac)
        listed(tables, ip)
        seen(tables, mac, ip)
    assert ended(tables).enforced
    assert (comments(tables), tables.hosts, tables.connections) == ([], [], [])


@pytest.mark.parametrize("mac", ["", M], ids=["by address", "by MAC"])
def test_a4_the_rows_say_whom_to_cut_off_until_that_is_done(mac: str) -> None:
    """They are put out of force at first: an agent that begins in the middle knows no other note."""
    tables = Tables()
    bound(tables, mac, X)
    listed(tables, X)
    tables.apply(planned(tables.actual()).commands())
    assert [row["disabled"] for row in (*tables.bindings, *tables.lists)] == [
        "true",
        "true",
    ]
    seen(tables, M, X)
    assert ended(tables).enforced
    assert (comments(tables), tables.hosts, tables.connections) == ([], [], [])


def test_a4_rows_stay_noted_until_the_connections_were_read() -> None:
    tables = Tables()
    bound(tables, M, X)
    tables.bindings[0]["disabled"] = "true"
    unread = replace(
        tables.actual(),
        connections=None,
        unread={"/ip/firewall/connection": "no answer"},
    )
    result = planned(unread)
    assert result.empty
    view = result.endings[ENDING]
    assert (view.enforced, view.unread) == (False, "/ip/firewall/connection")


def test_a4_who_has_a_live_session_stays_in_by_the_rows_of_an_ended_order() -> (
    None
):
    tables = Tables()
    bound(tables, M, X)
    listed(tables, X)
    listed(tables, Y)
    seen(tables, M, X)
    assert ended(tables, Grant(M, X, None)).enforced
    marker = str(marker_for("main", M, None))
    assert comments(tables) == [marker, marker]
    assert tables.lists[0]["address"] == X
    assert len(tables.hosts) == 1


@pytest.mark.parametrize(
    "comment", [OTHER, str(marker_for("main", M, None))], ids=["older", "ours"]
)
def test_a4_who_has_rows_of_another_order_stays_in(comment: str) -> None:
    tables = Tables()
    bound(tables, M, order=comment)
    listed(tables, X)
    seen(tables, M, X)
    assert ended(tables).enforced
    assert comments(tables) == [comment]
    assert (len(tables.hosts), len(tables.connections)) == (1, 1)


def test_b2_who_got_the_address_of_an_order_is_not_cut_off() -> None:
    tables = Tables()
    bound(tables, M)
    listed(tables, X)
    seen(tables, N, X)
    assert ended(tables).enforced
    assert comments(tables) == []
    assert (len(tables.hosts), len(tables.connections)) == (1, 1)


def test_b9_of_a_client_that_is_frozen_nothing_is_cut_off() -> None:
    tables = Tables()
    bound(tables, M, X)
    listed(tables, X)
    seen(tables, M, X)
    assert ended(tables, frozen=frozenset({M, X})).enforced
    assert (comments(tables), len(tables.hosts)) == ([ORDER, PAID], 1)


def test_b4_a_row_by_hand_that_lets_the_client_in_is_said() -> None:
    tables = Tables()
    bound(tables, M, X)
    tables.put(
        "bindings", address=X, type="bypassed", comment="the owner's phone"
    )
    seen(tables, M, X)
    view = ended(tables)
    assert not view.enforced
    assert "made by hand" in (view.granted_by_hand or "")
    del tables.bindings[1]
    assert ended(tables).enforced
    assert (comments(tables), tables.hosts) == ([], [])


def test_t8_a_client_that_is_logged_in_again_is_said_and_left() -> None:
    """Case T8: no endless fight with the router."""
    tables = Tables()
    bound(tables, M, X)
    tables.put("active", mac_address=M, address=X, user=M, login_by="mac")
    view = ended(tables, logged_in_again=frozenset({client_id(M)}))
    assert not view.enforced
    assert "login-by mac" in (view.granted_by_hand or "")
    assert len(tables.active) == 1


def test_e1_who_may_only_remove_what_passed_leaves_an_order_alone() -> None:
    tables = Tables()
    bound(tables, M, X)
    result = planned(tables.actual(), passed_at=1.0)
    assert result.empty
    assert result.endings[ENDING].too_early


def test_an_order_alone_asks_for_its_rows_and_for_no_host() -> None:
    scope = Scope(comments=frozenset({ORDER, PAID}))
    bindings, lists, *others = access_prints(AccessPolicy(), scope)
    asked = (f"?comment={PAID}", f"?comment={ORDER}", "?#|")
    assert bindings.queries == (*asked[:2], "?-mac-address", "?#|", "?#|")
    assert lists.queries == (*asked, "?list=paid_clients", "?#&")
    assert [each.queries for each in others] == [("?.id=*FFFFFFFF",)] * 3

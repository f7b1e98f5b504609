"""The plan of an ending that asks who has an address (rule B2). Without a router: rows in, commands out."""

from __future__ import annotations

from dataclasses import replace

from cerebro.routeros.access.marker import marker_for
from cerebro.routeros.access.model import (
    AccessPolicy,
    DesiredAccess,
    Ending,
    Grant,
)
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.result import AccessPlan
from support.tables import Tables

M, N = "AA:00:00:00:00:01", "AA:00:00:00:00:02"
X, Y = "10.5.50.1", "10.5.50.2"
ASKS = Ending(None, frozenset({X}), revoked=True, asks=True)


def a_router(*clients: tuple[str, str, str]) -> Tables:
    """Clients that are let in: MAC, the address on the list, and that of the host, if there is one."""
    tables = Tables()
    for mac, listed, seen in clients:
        marker = str(marker_for("main", mac, None))
        tables.put(
            "bindings", mac_address=mac, type="bypassed", comment=marker
        )
        tables.put(
            "lists", list="paid_clients", address=listed, comment=marker
        )
        if seen:
            tables.put("hosts", mac_address=mac, address=seen, bypassed="true")
    return tables


def plan(tables: Tables, ending: Ending, *grants: Grant) -> AccessPlan:
    return access_plan(
        DesiredAccess(grants, (ending,)), tables.actual(), AccessPolicy()
    )


def test_b2_a_live_client_that_got_the_address_meanwhile_is_said_and_its_end_is_not() -> (
    None
):
    tables, grant = a_router((M, Y, X)), Grant(M, Y, None, prior_ip=Y)
    view = plan(tables, ASKS, grant).endings[ASKS]
    assert (view.mac, view.enforced) == (M, False)
    tables.apply(plan(tables, ASKS, grant).commands())
    assert plan(tables, ASKS, grant).empty, (
        "its list row has followed; the rest is the bridge's to say"
    )
    assert plan(tables, ASKS, grant).endings[ASKS] == view


def test_b2_who_has_left_the_address_to_another_is_not_meant() -> None:
    tables = a_router((M, X, Y))
    tables.put("hosts", mac_address=N, address=X, bypassed="false")
    grant = Grant(M, X, None, prior_ip=X)
    tables.apply(plan(tables, ASKS, grant).commands())
    view = plan(tables, ASKS, grant).endings[ASKS]
    assert (view.mac, view.enforced) == (N, True)
    assert [row["mac-address"] for row in tables.bindings] == [M]
    both = (grant, Grant(N, None, None))
    assert plan(tables, ASKS, *both).endings[ASKS].mac == N


def test_b2_who_was_there_last_is_meant_where_nobody_is_now() -> None:
    grant = Grant(M, X, None, prior_ip=X)
    assert plan(a_router((M, X, "")), ASKS, grant).endings[ASKS].mac == M
    assert plan(a_router((M, X, Y)), ASKS, grant).endings[ASKS].mac == M


def test_b2_a_router_that_was_away_is_asked_who_was_there_then() -> None:
    """Whoever has got the address since has nothing to do with the revoke."""
    tables = a_router((M, X, Y), (N, "10.5.50.3", X))
    grants = (
        Grant(M, X, None, prior_ip=X),
        Grant(N, "10.5.50.3", None, prior_ip="10.5.50.3"),
    )
    late = replace(ASKS, late=True)
    assert plan(tables, ASKS, *grants).endings[ASKS].mac == N
    assert plan(tables, late, *grants).endings[late].mac == M
    assert plan(tables, late, grants[1]).endings[late].enforced, (
        "nobody was, as far as anybody knows"
    )


def test_b2_whom_the_record_has_pinned_stays_pinned() -> None:
    pinned, tables = replace(ASKS, mac=M), a_router((N, X, X), (M, Y, Y))
    view = plan(tables, pinned, Grant(N, X, None), Grant(M, Y, None)).endings[
        pinned
    ]
    assert (view.mac, view.enforced) == (M, False)
    view = plan(a_router((N, X, X)), pinned, Grant(N, X, None)).endings[pinned]
    assert (view.mac, view.enforced) == (M, True), "it has no Session any more"


def test_b4_where_nobody_with_a_session_is_the_rows_there_go() -> None:
    tables = Tables()
    tables.put("lists", list="paid_clients", address=X, comment="pedido:1")
    tables.put("hosts", mac_address=M, address=X, bypassed="true")
    tables.apply(plan(tables, ASKS).commands())
    view = plan(tables, ASKS).endings[ASKS]
    assert (tables.lists, tables.hosts, view.enforced) == ([], [], True)

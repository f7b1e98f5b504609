"""A revoke takes all rows of the older relay for its client (rule B4), by whatever name it came: the contract's
defect 31 was that one by address left the binding, and one by MAC the list row. Without a router: rows in, commands
out.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cerebro.routeros.access.model import (
    AccessPolicy,
    DesiredAccess,
    Ending,
    Grant,
)
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.read import Scope, access_prints
from cerebro.routeros.access.result import EndingView
from support.tables import Tables

M, N = "AA:00:00:00:00:01", "AA:00:00:00:00:02"
X, Y = "10.5.50.1", "10.5.50.2"
ORDER, OTHER_ORDER = "pedido:P-1", "pedido:P-2"
BY_IP, BY_MAC = (
    Ending(None, frozenset({X}), revoked=True),
    Ending(M, frozenset(), revoked=True),
)
either = pytest.mark.parametrize(
    "ending", [BY_IP, BY_MAC], ids=["by address", "by MAC"]
)


def bound(
    tables: Tables, mac: str, ip: str = "", order: str = ORDER
) -> dict[str, str]:
    address = {"address": ip} if ip else {}
    return tables.put(
        "bindings", mac_address=mac, type="bypassed", comment=order, **address
    )


def listed(
    tables: Tables, ip: str, order: str = ORDER, name: str = "paid_clients"
) -> dict[str, str]:
    return tables.put("lists", list=name, address=ip, comment=order)


def revoked(tables: Tables, ending: Ending, *grants: Grant) -> EndingView:
    """Apply and plan again until nothing is left; the phone is silent once its host is gone."""
    wanted, left = DesiredAccess(grants, (ending,)), tables.actual().hosts
    for _ in range(4):
        result = access_plan(
            wanted, replace(tables.actual(), left=left), AccessPolicy()
        )
        if result.empty:
            return result.endings[ending]
        tables.apply(result.commands())
    pytest.fail(f"not settled: {list(result.commands())}")


@either
@pytest.mark.parametrize("seen", [True, False], ids=["with a host", "idle"])
def test_b4_a_revoke_takes_binding_list_row_and_host_of_the_older_relays_client(
    ending: Ending, seen: bool
) -> None:
    tables = Tables()
    bound(tables, M, X)
    listed(tables, X)
    tables.put("cookies", mac_address=M, user="u")
    if seen:
        tables.put("hosts", mac_address=M, address=X, bypassed="true")
    assert revoked(tables, ending).enforced
    assert (tables.bindings, tables.lists, tables.hosts, tables.cookies) == (
        [],
        [],
        [],
        [],
    )


@either
def test_b4_binding_and_list_row_of_one_order_belong_together(
    ending: Ending,
) -> None:
    tables = Tables()
    bound(tables, M)
    listed(tables, X)
    assert revoked(tables, ending).enforced
    assert (tables.bindings, tables.lists) == ([], [])


def test_b4_a_revoke_by_mac_takes_the_list_row_where_hosts_show_it() -> None:
    tables = Tables()
    bound(tables, M)
    listed(tables, X, "paid:77")
    tables.put("hosts", mac_address=M, address=X, bypassed="true")
    assert revoked(tables, BY_MAC).enforced
    assert tables.lists == []


@either
def test_b4_rows_of_other_clients_stay(ending: Ending) -> None:
    """Also those of the same order with another MAC, of another list, and those made by hand."""
    tables = Tables()
    bound(tables, M, X)
    listed(tables, X)
    kept = [
        bound(tables, N, Y),
        tables.put(
            "bindings",
            address="10.5.50.0/24",
            type="regular",
            comment="guests",
        ),
    ]
    stay = [
        listed(tables, Y),
        listed(tables, X, "by hand", "vip"),
        listed(tables, "10.5.50.3", OTHER_ORDER),
    ]
    assert revoked(tables, ending).enforced
    assert (tables.bindings, tables.lists) == (kept, stay)


def test_b2_a_revoke_by_address_means_who_is_there_now_and_not_who_was_bound_there() -> (
    None
):
    tables = Tables()
    before = bound(tables, M, X)
    listed(tables, X, OTHER_ORDER)
    bound(tables, N, order=OTHER_ORDER)
    tables.put("hosts", mac_address=N, address=X, bypassed="true")
    tables.put("hosts", mac_address=M, address=Y, bypassed="true")
    assert revoked(tables, BY_IP).enforced
    assert (tables.bindings, tables.lists) == ([before], [])
    assert [host["mac-address"] for host in tables.hosts] == [M]


def test_b2_a_revoke_by_mac_leaves_who_has_its_old_address_now() -> None:
    tables = Tables()
    bound(tables, M, X)
    theirs = listed(tables, X, OTHER_ORDER)
    tables.put("hosts", mac_address=N, address=X, bypassed="true")
    assert revoked(tables, BY_MAC).enforced
    assert (tables.bindings, tables.lists) == ([], [theirs])
    assert len(tables.hosts) == 1


def test_b4_what_a_live_session_has_taken_over_stays() -> None:
    tables = Tables()
    bound(tables, M, X)
    listed(tables, X)
    tables.put("hosts", mac_address=M, address=X, bypassed="true")
    assert revoked(tables, BY_IP, Grant(M, X, None)).enforced
    assert (len(tables.bindings), len(tables.lists), len(tables.hosts)) == (
        1,
        1,
        1,
    )


def test_b4_an_end_by_the_clock_leaves_the_older_relays_rows() -> None:
    tables = Tables()
    kept = [bound(tables, M, X)], [listed(tables, Y)]
    assert revoked(tables, Ending(M, frozenset({X}), revoked=False)).enforced
    assert (tables.bindings, tables.lists) == kept


def test_b4_what_is_read_of_a_client_grows_by_what_the_older_relays_rows_say() -> (
    None
):
    tables = Tables()
    bound(tables, M, X, "pedido:pão")
    bound(tables, N, Y, "by hand")
    scope = Scope(ips=frozenset({X})).joined(tables.actual())
    assert scope == Scope(
        frozenset({M}), frozenset({X}), frozenset({"pedido:pão"})
    )
    assert scope.joined(tables.actual()) == scope
    bindings, lists, *_ = access_prints(AccessPolicy(), scope)
    assert {
        f"?mac-address={M}",
        f"?address={X}",
        "?comment=pedido:pão",
    } <= set(bindings.queries)
    assert lists.queries[:5] == (
        f"?address={X}",
        "?comment=pedido:pão",
        "?#|",
        "?list=paid_clients",
        "?#&",
    )

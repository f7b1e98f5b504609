"""The plan of access (rules B1 to B4, E1, E13), without a router: rows in, commands out, and applied to the
rows.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.domain.mass_removal import is_mass_removal
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.model import (
    AccessPolicy,
    DesiredAccess,
    Ending,
    Grant,
)
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.result import AccessPlan
from support.router_states import ENDS, MAC, grants, mark, routers
from support.tables import Tables

POLICY = AccessPolicy()
OTHER_MAC = "AA:00:00:00:00:02"
IP, OTHER_IP = "10.5.50.1", "10.5.50.2"


def plan(
    tables: Tables,
    *grants: Grant,
    endings: tuple[Ending, ...] = (),
    complete: bool = True,
) -> AccessPlan:
    return access_plan(
        DesiredAccess(grants, endings, complete=complete),
        tables.actual(),
        POLICY,
    )


def settle(
    tables: Tables, *grants: Grant, endings: tuple[Ending, ...] = ()
) -> AccessPlan:
    """Apply and plan again until nothing is left; the hotspot does nothing meanwhile."""
    for _ in range(4):
        result = plan(tables, *grants, endings=endings)
        if result.empty:
            return result
        tables.apply(result.commands())
    pytest.fail(f"not settled: {list(result.commands())}")


def mass(result: AccessPlan) -> bool:
    return is_mass_removal(len(result.orphans), len(result.marked))


def words(result: AccessPlan) -> list[tuple[str, str]]:
    return [
        (command.path.rpartition("/")[2], command.verb)
        for command in result.commands()
    ]


def test_a_grant_adds_binding_and_list_row_and_then_removes_the_host() -> None:
    tables = Tables()
    tables.put("hosts", mac_address=MAC, address=IP, bypassed="false")
    result = plan(tables, Grant(MAC, IP, ENDS))
    assert words(result) == [
        ("ip-binding", "add"),
        ("address-list", "add"),
        ("host", "remove"),
    ]
    assert not result.grants[Grant(MAC, IP, ENDS)].granted


def test_b2_with_a_mac_the_binding_has_the_mac_only() -> None:
    tables = Tables()
    settle(tables, Grant(MAC, IP, ENDS))
    (row,) = tables.bindings
    assert row["mac-address"] == MAC
    assert "address" not in row
    assert row["comment"] == mark(MAC)


def test_b2_the_list_row_follows_the_address_at_which_hosts_show_the_mac() -> (
    None
):
    tables = Tables()
    settle(tables, Grant(MAC, IP, ENDS))
    tables.put("hosts", mac_address=MAC, address=OTHER_IP, bypassed="true")
    settle(tables, Grant(MAC, IP, ENDS))
    assert [row["address"] for row in tables.lists] == [OTHER_IP]


def test_b2_an_address_that_another_mac_holds_now_is_withdrawn() -> None:
    tables = Tables()
    settle(tables, Grant(MAC, IP, ENDS))
    tables.put("hosts", mac_address=OTHER_MAC, address=IP, bypassed="false")
    result = settle(tables, Grant(MAC, IP, ENDS))
    assert tables.lists == []
    assert result.grants[Grant(MAC, IP, ENDS)].ips == ()


def test_b2_an_ip_only_client_pins_the_mac_at_first_sight_and_keeps_one_row() -> (
    None
):
    tables = Tables()
    grant = Grant(None, IP, ENDS)
    settle(tables, grant)
    before = tables.bindings[0][".id"]
    assert tables.bindings[0]["address"] == IP
    tables.put("hosts", mac_address=MAC, address=IP, bypassed="true")
    result = settle(tables, grant)
    (row,) = tables.bindings
    assert (row[".id"], row["mac-address"], row.get("address")) == (
        before,
        MAC,
        None,
    )
    assert result.grants[grant].mac == MAC


def test_b3_sessions_of_one_client_share_rows_with_the_latest_end() -> None:
    tables = Tables()
    first, second = Grant(MAC, IP, ENDS), Grant(MAC, IP, ENDS + 60)
    settle(tables, first, second)
    assert [row["comment"] for row in tables.bindings] == [
        mark(MAC, ENDS + 60)
    ]
    settle(
        tables, first, endings=(Ending(MAC, frozenset({IP}), revoked=True),)
    )
    assert [row["comment"] for row in tables.bindings] == [mark(MAC, ENDS)]


def test_b3_an_end_does_not_touch_what_another_live_session_needs() -> None:
    tables = Tables()
    live = Grant(MAC, IP, None)
    settle(tables, live)
    tables.put("hosts", mac_address=MAC, address=IP, bypassed="true")
    tables.put(
        "connections", src_address=f"{IP}:5000", dst_address="1.1.1.1:443"
    )
    ending = Ending(MAC, frozenset({IP}), revoked=True)
    result = plan(tables, live, endings=(ending,))
    assert result.empty
    assert result.endings[ending].enforced


@pytest.mark.parametrize("comment", ["pedido:P-1", "paid:77"])
def test_b4_rows_of_the_older_relay_are_taken_over_by_set(
    comment: str,
) -> None:
    tables = Tables()
    binding = tables.put(
        "bindings",
        mac_address=MAC,
        address=IP,
        type="bypassed",
        comment=comment,
    )
    listed = tables.put(
        "lists", list="paid_clients", address=IP, comment=comment
    )
    result = plan(tables, Grant(MAC, IP, ENDS))
    assert {verb for _, verb in words(result)} == {"set"}
    settle(tables, Grant(MAC, IP, ENDS))
    assert tables.bindings == [{**binding, "comment": mark(MAC)}]
    assert "address" not in tables.bindings[0]
    assert tables.lists == [{**listed, "comment": mark(MAC)}]


def test_b4_legacy_rows_go_with_a_revoke_and_stay_when_only_the_clock_ended_it() -> (
    None
):
    for revoked, left in ((True, 0), (False, 1)):
        tables = Tables()
        tables.put(
            "bindings", mac_address=MAC, type="bypassed", comment="pedido:P-1"
        )
        settle(tables, endings=(Ending(MAC, frozenset(), revoked=revoked),))
        assert len(tables.bindings) == left


def test_b4_a_bypass_made_by_hand_counts_as_granted_and_is_never_touched() -> (
    None
):
    tables = Tables()
    row = tables.put(
        "bindings", mac_address=MAC, type="bypassed", comment="the boss"
    )
    result = settle(tables, Grant(MAC, None, ENDS))
    assert tables.bindings == [row]
    assert result.grants[Grant(MAC, None, ENDS)].granted


def test_b4_a_block_made_by_hand_is_said_and_left_alone() -> None:
    tables = Tables()
    row = tables.put("bindings", mac_address=MAC, type="blocked")
    result = plan(tables, Grant(MAC, IP, ENDS))
    assert result.empty
    assert "made by hand" in (
        result.grants[Grant(MAC, IP, ENDS)].blocked_by_hand or ""
    )
    assert tables.bindings == [row]


def test_b4_what_a_person_left_open_after_a_revoke_is_said() -> None:
    tables = Tables()
    tables.put(
        "bindings", mac_address=MAC, type="bypassed", comment="the boss"
    )
    tables.put("hosts", mac_address=MAC, address=IP, bypassed="true")
    ending = Ending(MAC, frozenset({IP}), revoked=True)
    result = plan(tables, endings=(ending,))
    assert "bypasses" in (result.endings[ending].granted_by_hand or "")
    assert result.empty


def test_b4_ours_stand_before_the_first_foreign_row_that_would_match() -> None:
    tables = Tables()
    tables.put("bindings", address="10.9.0.1", type="blocked")
    foreign = tables.put(
        "bindings",
        address="10.5.50.0/24",
        type="blocked",
        comment="all guests",
    )
    settle(tables, Grant(MAC, IP, ENDS))
    assert [row.get("mac-address") for row in tables.bindings] == [
        None,
        MAC,
        None,
    ]
    ours = tables.bindings.pop(1)
    tables.bindings.append(ours)
    assert words(plan(tables, Grant(MAC, IP, ENDS))) == [
        ("ip-binding", "move")
    ]
    settle(tables, Grant(MAC, IP, ENDS))
    assert tables.bindings[1:] == [ours, foreign]


def test_b4_rows_of_another_installation_are_foreign() -> None:
    tables = Tables()
    row = tables.put(
        "bindings",
        mac_address=OTHER_MAC,
        type="bypassed",
        comment=mark(OTHER_MAC, None, "elsewhere"),
    )
    settle(tables)
    assert tables.bindings == [row]


def test_b1_the_end_goes_through_active_cookies_connections_and_then_hosts() -> (
    None
):
    tables = Tables()
    settle(tables, Grant(MAC, IP, ENDS))
    tables.put("hosts", mac_address=MAC, address=IP, bypassed="true")
    tables.put("active", mac_address=MAC, address=IP, user="u")
    tables.put("cookies", mac_address=MAC, user="u")
    tables.put(
        "connections", src_address=f"{IP}:5000", dst_address="1.1.1.1:443"
    )
    tables.put(
        "connections", src_address="10.5.50.10:5000", dst_address="1.1.1.1:443"
    )
    result = plan(
        tables, endings=(Ending(MAC, frozenset({IP}), revoked=False),)
    )
    assert [menu for menu, _ in words(result)] == [
        "ip-binding",
        "address-list",
        "active",
        "cookie",
        "connection",
        "host",
    ]
    tables.apply(result.commands())
    assert [row["src-address"] for row in tables.connections] == [
        "10.5.50.10:5000"
    ]
    ending = Ending(MAC, frozenset({IP}), revoked=False)
    assert plan(tables, endings=(ending,)).endings[ending].enforced


def test_b1_connections_and_hosts_that_came_back_unauthorised_do_not_count() -> (
    None
):
    tables = Tables()
    tables.put("hosts", mac_address=MAC, address=IP, bypassed="false")
    tables.put(
        "connections", src_address=f"{IP}:6000", dst_address="1.1.1.1:443"
    )
    ending = Ending(
        MAC, frozenset({IP}), revoked=False, flows=frozenset({"*FF"})
    )
    assert plan(tables, endings=(ending,)).endings[ending].enforced


def test_b1_a_bypassed_host_that_no_enabled_binding_explains_is_removed() -> (
    None
):
    tables = Tables()
    tables.put(
        "bindings", mac_address=OTHER_MAC, type="bypassed", comment="the boss"
    )
    tables.put("hosts", mac_address=MAC, address=IP, bypassed="true")
    explained = tables.put(
        "hosts", mac_address=OTHER_MAC, address=OTHER_IP, bypassed="true"
    )
    settle(tables)
    assert tables.hosts == [explained]


def test_nothing_unexplained_goes_before_everything_is_known() -> None:
    """E7: without the word that everybody is named, a marked row stays."""
    tables = Tables()
    tables.put("bindings", mac_address=MAC, type="bypassed", comment=mark(MAC))
    assert plan(tables, complete=False).empty
    assert words(plan(tables)) == [("ip-binding", "set")]
    settle(tables)
    assert not tables.bindings


def test_b9_rows_of_a_session_that_cannot_be_read_stay() -> None:
    tables = Tables()
    tables.put("bindings", mac_address=MAC, type="bypassed", comment=mark(MAC))
    tables.put("hosts", mac_address=MAC, address=IP, bypassed="true")
    wanted = DesiredAccess(complete=True, frozen=frozenset({MAC}))
    assert access_plan(wanted, tables.actual(), POLICY).empty
    assert access_plan(
        DesiredAccess(complete=True, frozen_all=True), tables.actual(), POLICY
    ).empty


def test_b8_a_held_grant_keeps_its_rows_and_gets_no_new_ones() -> None:
    tables = Tables()
    held = Grant(MAC, IP, ENDS, hold=True)
    assert plan(tables, held).empty
    settle(tables, Grant(MAC, IP, ENDS))
    tables.lists.clear()
    result = plan(tables, held)
    assert result.empty
    assert not result.grants[held].granted


def test_b8_b10_what_a_held_client_has_is_nobodys_to_remove() -> None:
    """A held client that moved keeps the list row where it was, since it gets none where it is."""
    tables = Tables()
    settle(tables, Grant(MAC, IP, ENDS))
    tables.put("hosts", mac_address=MAC, address=OTHER_IP, bypassed="true")
    tables.put(
        "bindings",
        mac_address=OTHER_MAC,
        type="bypassed",
        comment=mark(OTHER_MAC),
    )
    result = plan(tables, Grant(MAC, IP, ENDS, hold=True))
    assert [command.attributes[".id"] for command in result.commands()] == [
        tables.bindings[1][".id"]
    ]


def test_e1_without_the_lease_only_rows_whose_marker_has_passed_go() -> None:
    for until, gone in ((ENDS, True), (ENDS + 120, False), (None, False)):
        tables = Tables()
        tables.put(
            "bindings",
            mac_address=MAC,
            type="bypassed",
            comment=mark(MAC, until),
        )
        ending = Ending(MAC, frozenset(), revoked=False)
        wanted = DesiredAccess(endings=(ending,), passed_at=ENDS + 1)
        result = access_plan(wanted, tables.actual(), POLICY)
        assert result.empty is not gone
        assert result.endings[ending].enforced is False


def test_e13_a_mass_removal_is_seen_and_can_be_held_back() -> None:
    tables = Tables()
    macs = [f"AA:00:00:00:01:{number:02X}" for number in range(40)]
    grants = tuple(Grant(mac, None, ENDS) for mac in macs)
    settle(tables, *grants)
    wanted = DesiredAccess(grants[10:], complete=True)
    result = access_plan(wanted, tables.actual(), POLICY)
    assert mass(result)
    held = access_plan(
        replace(wanted, retiring=frozenset()), tables.actual(), POLICY
    )
    assert held.empty
    assert mass(held)
    assert not mass(
        access_plan(
            replace(wanted, grants=grants[9:]), tables.actual(), POLICY
        )
    )


def test_e13_rows_whose_end_has_come_are_no_mass_removal_and_never_wait() -> (
    None
):
    tables = Tables()
    settle(
        tables,
        *(
            Grant(f"AA:00:00:00:01:{number:02X}", None, ENDS)
            for number in range(40)
        ),
    )
    wanted = DesiredAccess(complete=True, now=ENDS + 1)
    result = access_plan(wanted, tables.actual(), POLICY)
    assert not mass(result)
    assert result.count() >= 40
    held = replace(wanted, retiring=frozenset())
    assert access_plan(held, tables.actual(), POLICY).count() == result.count()
    assert access_plan(
        replace(held, now=ENDS - 1), tables.actual(), POLICY
    ).empty
    assert access_plan(replace(held, now=None), tables.actual(), POLICY).empty


def test_e13_of_the_clients_without_a_session_only_those_named_go() -> None:
    tables = Tables()
    macs = [f"AA:00:00:00:01:{number:02X}" for number in range(3)]
    settle(tables, *(Grant(mac, None, ENDS) for mac in macs))
    wanted = DesiredAccess(
        complete=True, retiring=frozenset({client_id(macs[1])})
    )
    result = access_plan(wanted, tables.actual(), POLICY)
    assert result.orphans == {client_id(mac) for mac in macs}
    tables.apply(result.commands())
    disabled = [
        row["mac-address"]
        for row in tables.bindings
        if row.get("disabled") == "true"
    ]
    assert disabled == [macs[1]]


@settings(max_examples=400, deadline=None)
@given(routers(), st.lists(grants, max_size=5))
def test_from_any_state_it_settles_on_exactly_the_rows_of_the_grants(
    tables: Tables, wanted: list[Grant]
) -> None:
    """Applied and planned again it gives nothing; no row of others changes; every marked row is a grant's."""
    foreign = [
        dict(row)
        for row in tables.bindings + tables.lists
        if row["comment"] in ("by hand", mark(MAC, None, "else"))
    ]
    result = settle(tables, *wanted)
    rows = tables.bindings + tables.lists
    assert all(row in rows for row in foreign)
    views = result.grants.values()
    explained = {
        mark(key, until)
        for view in views
        for key in (view.mac, *view.ips)
        if key
        for until in (None, ENDS, ENDS + 60)
    }
    assert {
        row["comment"]
        for row in rows
        if row["comment"].startswith("cerebro:main:")
    } <= explained
    for grant, view in result.grants.items():
        assert view.granted or view.blocked_by_hand, grant

"""The plan of access in cases that were met in the field: address pools, rows that others made, menus that cannot be
read, and a thousand clients. Rows in, commands out.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

from cerebro.routeros.access.marker import marker_for
from cerebro.routeros.access.model import (
    AccessPolicy,
    DesiredAccess,
    Ending,
    Grant,
)
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.result import AccessPlan
from cerebro.routeros.access.tables import Actual
from support.tables import Tables

POLICY = AccessPolicy()
MAC, OTHER_MAC = "AA:00:00:00:00:01", "AA:00:00:00:00:02"
OWN, SEEN, OTHER_SEEN = "192.168.1.5", "10.5.50.1", "10.5.50.2"
ENDS = 2_000_000_000


def plan(
    actual: Actual, *grants: Grant, endings: tuple[Ending, ...] = ()
) -> AccessPlan:
    return access_plan(DesiredAccess(grants, endings), actual, POLICY)


def revoke(mac: str | None = None, *ips: str) -> Ending:
    return Ending(mac, frozenset(ips), revoked=True)


def phone(
    tables: Tables,
    mac: str,
    seen: str,
    own: str = OWN,
    bypassed: str = "false",
) -> None:
    tables.put(
        "hosts",
        mac_address=mac,
        address=own,
        to_address=seen,
        bypassed=bypassed,
    )


def commands(result: AccessPlan) -> list[tuple[str, str, dict[str, str]]]:
    return [
        (
            command.path.rpartition("/")[2],
            command.verb,
            dict(command.attributes),
        )
        for command in result.commands()
    ]


# --- T2: an address pool


def test_t2_the_list_row_has_the_address_that_the_firewall_sees() -> None:
    tables = Tables()
    phone(tables, MAC, SEEN)
    (row,) = [
        row
        for menu, verb, row in commands(
            plan(tables.actual(), Grant(MAC, OWN, ENDS))
        )
        if "list" in row
    ]
    assert row["address"] == SEEN


@pytest.mark.parametrize(
    "address", [OWN, SEEN], ids=["its own address", "the firewall's address"]
)
def test_t2_an_order_by_either_address_means_the_phone_that_is_there(
    address: str,
) -> None:
    tables = Tables()
    phone(tables, MAC, SEEN)
    result = plan(tables.actual(), Grant(None, address, ENDS))
    bound = [
        row["mac-address"]
        for menu, verb, row in commands(result)
        if menu == "ip-binding"
    ]
    assert bound == [MAC]


@pytest.mark.parametrize(
    "address", [OWN, SEEN], ids=["its own address", "the firewall's address"]
)
def test_t2_a_revoke_by_either_address_shuts_the_phone_out(
    address: str,
) -> None:
    tables = Tables()
    phone(tables, MAC, SEEN, bypassed="true")
    tables.put("active", mac_address=MAC, address=SEEN, user="guest")
    result = plan(tables.actual(), endings=(revoke(None, address),))
    assert [(menu, verb) for menu, verb, _ in commands(result)] == [
        ("active", "remove"),
        ("host", "remove"),
    ]


def test_t2_two_phones_with_one_own_address_are_told_apart_by_mac() -> None:
    tables = Tables()
    phone(tables, MAC, SEEN, bypassed="true")
    phone(tables, OTHER_MAC, OTHER_SEEN, bypassed="true")
    by_own_address = plan(tables.actual(), endings=(revoke(None, OWN),))
    assert commands(by_own_address) == []
    by_mac = plan(tables.actual(), endings=(revoke(MAC, OWN),))
    assert commands(by_mac) == [("host", "remove", {".id": "*1"})]
    granted = plan(
        tables.actual(), Grant(MAC, OWN, ENDS), Grant(OTHER_MAC, OWN, ENDS)
    )
    assert [
        row["address"] for _, _, row in commands(granted) if "list" in row
    ] == [SEEN, OTHER_SEEN]


# --- T3 and T5: rows in the paid list that others made


@pytest.mark.parametrize(
    ("row", "maker"),
    [
        ({"address": SEEN}, "made by hand"),
        ({"address": "10.5.50.0/24"}, "made by hand"),
        ({"address": "10.5.50.0-10.5.50.9"}, "made by hand"),
        ({"address": SEEN, "dynamic": "true"}, "made by the router itself"),
        (
            {"address": SEEN, "dynamic": "true", "timeout": "1h"},
            "made by the router itself",
        ),
    ],
    ids=["by hand", "a network", "a range", "of a profile", "with a timeout"],
)
def test_t3_a_row_of_others_in_the_paid_list_is_said_after_a_revoke(
    row: dict[str, str], maker: str
) -> None:
    tables = Tables()
    phone(tables, MAC, SEEN)
    tables.put("lists", list="paid_clients", **row)
    ending = revoke(MAC, SEEN)
    said = (
        plan(tables.actual(), endings=(ending,))
        .endings[ending]
        .granted_by_hand
    )
    assert (
        said
        == f"address-list *1 (paid_clients {row['address']}), {maker}, lets {SEEN} in"
    )


@pytest.mark.parametrize(
    "row",
    [{"list": "others"}, {"disabled": "true"}, {"address": OTHER_SEEN}],
    ids=["another list", "switched off", "another address"],
)
def test_t3_rows_that_let_nobody_in_are_not_said(row: dict[str, str]) -> None:
    tables = Tables()
    phone(tables, MAC, SEEN)
    tables.put("lists", **{"list": "paid_clients", "address": SEEN, **row})
    ending = revoke(MAC, SEEN)
    assert (
        plan(tables.actual(), endings=(ending,))
        .endings[ending]
        .granted_by_hand
        is None
    )


@pytest.mark.parametrize(
    ("row", "seconds"),
    [
        ({}, None),
        ({"dynamic": "true", "timeout": "1h2m3s"}, 3723),
        ({"dynamic": "true", "timeout": "1w2d00:10:00"}, 9 * 86400 + 600),
        ({"dynamic": "true"}, 60),
    ],
    ids=["for ever", "an hour", "nine days", "of a login"],
)
def test_t5_a_row_of_others_counts_until_it_ends(
    row: dict[str, str], seconds: float | None
) -> None:
    tables = Tables()
    phone(tables, MAC, SEEN, bypassed="true")
    tables.put(
        "bindings",
        mac_address=MAC,
        type="bypassed",
        comment=str(marker_for("main", MAC, ENDS)),
    )
    tables.put("lists", list="paid_clients", address=SEEN, **row)
    result = plan(tables.actual(), Grant(MAC, SEEN, ENDS))
    assert result.empty
    assert result.recheck_in == seconds


# --- T8: the router logs a client in again


def test_t8_a_client_that_is_logged_in_again_is_said_and_left() -> None:
    tables = Tables()
    phone(tables, MAC, SEEN)
    tables.put(
        "active", mac_address=MAC, address=SEEN, user=MAC, login_by="mac"
    )
    ending = revoke(MAC, SEEN)
    first = plan(tables.actual(), endings=(ending,))
    assert [(menu, verb) for menu, verb, _ in commands(first)] == [
        ("active", "remove")
    ]
    assert list(first.logged_out.values()) == [MAC]

    again = replace(ending, logs_in_again=True)
    later = plan(tables.actual(), endings=(again,))
    assert later.empty
    assert later.endings[again].granted_by_hand == (
        f"the router logs {MAC} in by itself, as user '{MAC}' (login-by mac)"
    )


def test_t8_once_the_login_is_gone_the_end_is_enforced() -> None:
    ending = replace(revoke(MAC, SEEN), logs_in_again=True)
    view = plan(Tables().actual(), endings=(ending,)).endings[ending]
    assert (view.enforced, view.granted_by_hand) == (True, None)


# --- T1 and B0: menus that cannot be read


def test_b0_an_end_is_not_proven_before_the_connections_were_read() -> None:
    """Case T1: the end is enforced once the connections were read, and not before."""
    tables = Tables()
    ending = revoke(MAC, SEEN)
    unread = replace(tables.actual(), connections=None)
    view = plan(unread, endings=(ending,)).endings[ending]
    assert not view.enforced
    assert not view.cut
    assert plan(tables.actual(), endings=(ending,)).endings[ending].enforced


@pytest.mark.parametrize(
    "path",
    [
        "/ip/hotspot/host",
        "/ip/hotspot/active",
        "/ip/hotspot/cookie",
        "/ip/firewall/connection",
    ],
)
def test_b0_a_menu_that_cannot_be_read_delays_the_proof_and_no_write(
    path: str,
) -> None:
    """Case T1: who is to be shut out is, and who comes is let in, whatever the router does not print."""
    tables = Tables()
    tables.put(
        "bindings",
        mac_address=MAC,
        type="bypassed",
        comment=str(marker_for("main", MAC, ENDS)),
    )
    ending = revoke(MAC, SEEN)
    unread = replace(tables.actual(), unread={path: "no such item (4)"})
    result = plan(
        unread, Grant(OTHER_MAC, OTHER_SEEN, ENDS), endings=(ending,)
    )
    assert {(menu, verb) for menu, verb, _ in commands(result)} == {
        ("ip-binding", "remove"),
        ("ip-binding", "add"),
        ("address-list", "add"),
    }
    assert result.endings[ending].unread == path
    assert result.unread[path] == "no such item (4)"
    assert result.unproven


def test_b0_without_hosts_nobody_is_called_granted() -> None:
    tables = Tables()
    grant = Grant(MAC, SEEN, ENDS)
    for _ in range(2):
        tables.apply(plan(tables.actual(), grant).commands())
    assert plan(tables.actual(), grant).grants[grant].granted
    unread = replace(
        tables.actual(), unread={"/ip/hotspot/host": "interrupted"}
    )
    view = plan(unread, grant).grants[grant]
    assert (view.granted, view.unread) == (False, "/ip/hotspot/host")


# --- Z1: cost


def calls_of_a_plan(clients: int) -> int:
    """Return how many functions of the package run for a plan over so many clients, half of them live."""
    tables = Tables()
    grants, endings = [], []
    for number in range(clients):
        mac, ip = (
            f"AA:00:00:00:{number // 256:02X}:{number % 256:02X}",
            f"10.5.{number // 250}.{number % 250 + 1}",
        )
        marker = str(marker_for("main", mac, ENDS))
        tables.put(
            "hosts",
            mac_address=mac,
            address=ip,
            to_address=ip,
            bypassed="true",
        )
        tables.put(
            "bindings", mac_address=mac, type="bypassed", comment=marker
        )
        tables.put("lists", list="paid_clients", address=ip, comment=marker)
        tables.put(
            "connections",
            src_address=f"{ip}:1000",
            dst_address="203.0.113.1:443",
        )
        if number % 2:
            grants.append(Grant(mac, ip, ENDS))
        else:
            endings.append(Ending(mac, frozenset({ip}), revoked=True))
    desired = DesiredAccess(
        tuple(grants), tuple(endings), complete=True, now=ENDS - 100
    )
    actual = tables.actual()
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and "cerebro" in frame.f_code.co_filename:
            calls[frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        result = access_plan(desired, actual, POLICY)
    finally:
        sys.setprofile(None)
    assert (
        len(result.stages[0]) == clients
    )  # binding and list row of each that ends
    return calls.total()


def test_z1_a_plan_grows_with_the_clients_and_not_with_their_square() -> None:
    small, large = calls_of_a_plan(250), calls_of_a_plan(1000)
    assert large < 4.2 * small
    assert large < 400 * 1000


# --- T4: what can be no client


@pytest.mark.parametrize(
    "grant",
    [
        Grant("00:00:00:00:00:00", OWN, ENDS),
        Grant("02:00:00:00:00:00", OWN, ENDS),
        Grant("FF:FF:FF:FF:FF:FF", None, ENDS),
        Grant("01:00:5E:00:00:FB", OWN, ENDS),
        Grant(None, "0.0.0.0", ENDS),
        Grant(None, "127.0.0.1", ENDS),
        Grant(None, "169.254.1.1", ENDS),
        Grant(None, "224.0.0.1", ENDS),
        Grant(None, "255.255.255.255", ENDS),
        Grant(None, None, ENDS),
    ],
)
def test_t4_nothing_is_written_for_what_can_be_no_client(grant: Grant) -> None:
    result = plan(Tables().actual(), grant)
    assert commands(result) == []
    assert grant not in result.grants


def test_t4_a_client_with_a_mac_is_listed_at_no_address_of_nobody() -> None:
    result = plan(Tables().actual(), Grant(MAC, "0.0.0.0", ENDS))
    assert [menu for menu, _, _ in commands(result)] == ["ip-binding"]


def test_t4_a_binding_for_what_can_be_no_client_is_disabled() -> None:
    tables = Tables()
    zero = "00:00:00:00:00:00"
    tables.put(
        "bindings",
        mac_address=zero,
        type="bypassed",
        comment=str(marker_for("main", zero, ENDS)),
    )
    desired = DesiredAccess((Grant(zero, None, ENDS),), complete=True)
    result = access_plan(desired, tables.actual(), POLICY)
    row = {".id": "*1", "disabled": "true"}
    assert commands(result) == [("ip-binding", "set", row)]

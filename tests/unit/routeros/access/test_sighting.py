"""Whether a granted client is on its router, and who is at its address instead (rule A13, case T4)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cerebro.routeros.access.model import AccessPolicy, DesiredAccess, Grant
from cerebro.routeros.access.plan import access_plan
from cerebro.routeros.access.tables import Actual
from cerebro.routeros.menus.hotspot import HOST
from support.tables import Tables

MAC, OTHER_MAC = "AA:00:00:00:00:01", "AA:00:00:00:00:02"
IP, OTHER_IP = "10.5.50.1", "10.5.50.2"


def sighting(actual: Actual, grant: Grant) -> tuple[bool | None, str | None]:
    view = access_plan(
        DesiredAccess((grant,), complete=True), actual, AccessPolicy()
    ).grants[grant]
    return view.seen, view.holder


@pytest.mark.parametrize(
    ("mac", "ip", "hosts", "expected"),
    [
        (MAC, IP, {MAC: IP}, (True, None)),
        (MAC, IP, {MAC: OTHER_IP}, (True, None)),
        (MAC, None, {MAC: IP}, (True, None)),
        (None, IP, {MAC: IP}, (True, None)),
        (MAC, IP, {OTHER_MAC: IP}, (False, OTHER_MAC)),
        (MAC, IP, {OTHER_MAC: IP, MAC: OTHER_IP}, (False, OTHER_MAC)),
        (MAC, IP, {OTHER_MAC: OTHER_IP}, (False, None)),
        (MAC, IP, {}, (False, None)),
        (MAC, None, {}, (False, None)),
        (None, IP, {}, (False, None)),
    ],
)
def test_a13_who_is_where_the_order_says(
    mac: str | None,
    ip: str | None,
    hosts: dict[str, str],
    expected: tuple[bool, str | None],
) -> None:
    tables = Tables()
    for seen, address in hosts.items():
        tables.put("hosts", mac_address=seen, address=address, bypassed="true")
    assert sighting(tables.actual(), Grant(mac, ip, None)) == expected


def test_a13_behind_an_address_pool_the_address_that_the_firewall_sees_counts() -> (
    None
):
    tables = Tables()
    tables.put("hosts", mac_address=OTHER_MAC, address=OTHER_IP, to_address=IP)
    grant = Grant(MAC, IP, None)
    assert sighting(tables.actual(), grant) == (False, OTHER_MAC)


def test_a13_the_host_that_went_with_the_grant_was_there() -> None:
    """It comes back with the phone's next packet; meanwhile nobody may call the phone away."""
    left = ({"mac-address": MAC, "address": IP},)
    actual = replace(Tables().actual(), left=left)
    assert sighting(actual, Grant(MAC, IP, None)) == (True, None)


def test_a13_of_hosts_that_cannot_be_read_nothing_is_said() -> None:
    actual = replace(Tables().actual(), unread={HOST.path: "no such item"})
    assert sighting(actual, Grant(MAC, IP, None)) == (None, None)

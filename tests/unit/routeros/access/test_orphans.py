"""What a deleted Session leaves on a router, and how it goes (B1, B4): nobody but the rows knows of the client."""

from __future__ import annotations

from support.router_states import MAC, mark
from support.tables import Tables
from unit.routeros.access.test_plan import IP, plan, settle


def _of_a_deleted_session() -> Tables:
    tables = Tables()
    tables.put("bindings", mac_address=MAC, type="bypassed", comment=mark(MAC))
    tables.put("lists", list="paid_clients", address=IP, comment=mark(MAC))
    tables.put("hosts", mac_address=MAC, address=IP, bypassed="true")
    tables.put(
        "connections", src_address=f"{IP}:5000", dst_address="1.1.1.1:443"
    )
    return tables


def test_b1_no_connection_outlives_a_deleted_session_whenever_a_packet_comes_or_the_agent_dies() -> (
    None
):
    """While the host is there a packet begins a connection anew, and nobody but the rows knows of the client."""
    commands = list(plan(_of_a_deleted_session()).commands())
    assert [command.path.rpartition("/")[2] for command in commands] == [
        "ip-binding",
        "address-list",
        "connection",
        "host",
    ]
    for dies in range(len(commands) + 1):
        for packet in range(dies + 1):
            tables = _of_a_deleted_session()
            tables.apply(commands[:packet])
            if tables.hosts:
                tables.put(
                    "connections",
                    src_address=f"{IP}:6000",
                    dst_address="1.1.1.1:443",
                )
            tables.apply(commands[packet:dies])
            settle(tables)
            left = (
                tables.bindings,
                tables.lists,
                tables.hosts,
                tables.connections,
            )
            assert left == ([], [], [], []), (packet, dies)


def test_b4_what_a_person_lets_in_does_not_hold_the_rows_of_a_deleted_session() -> (
    None
):
    tables = _of_a_deleted_session()
    tables.put(
        "bindings", mac_address=MAC, type="bypassed", comment="the boss"
    )
    settle(tables)
    assert [row["comment"] for row in tables.bindings + tables.lists] == [
        "the boss"
    ]
    assert len(tables.hosts) == len(tables.connections) == 1


def test_b4_a_range_that_a_person_lets_in_does_not_hold_them_either() -> None:
    tables = _of_a_deleted_session()
    tables.put(
        "bindings",
        address="10.5.50.0/24",
        type="bypassed",
        comment="all of them",
    )
    host = dict(tables.hosts[0])
    for _ in range(4):
        tables.apply(plan(tables).commands())
        tables.hosts = [host]  # the person's own row lets it in again
    assert plan(tables).empty
    assert [row["comment"] for row in tables.bindings + tables.lists] == [
        "all of them"
    ]

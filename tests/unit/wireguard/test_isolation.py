"""The table that keeps peers apart, as data: what it holds, when it counts as equal, what a plan changes (D3)."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.wireguard.isolation import (
    NftObject,
    describe,
    desired_table,
    plan,
    removal,
)

ADDRESSES = ["10.64.0.1/16", "fd64::1/64"]


def desired(*administrators: str) -> list[NftObject]:
    return desired_table("wg0", ADDRESSES, administrators)


def as_listed(objects: list[NftObject]) -> list[NftObject]:
    """As nft 1.0.6 lists it: with handles, sets in its order, names of protocols, chains before their rules."""
    listed = copy.deepcopy(objects)
    for handle, one in enumerate(listed):
        for kind, body in one.items():
            body["handle"] = handle
            if kind == "set" and "elem" in body:
                body["elem"].reverse()
    text = json.dumps(listed).replace(
        '"set": [1, 58]', '"set": ["ipv6-icmp", "icmp"]'
    )
    metainfo = {"metainfo": {"version": "1.0.6", "json_schema_version": 1}}
    parsed: list[NftObject] = json.loads(text)
    return [metainfo, *sorted(parsed, key=lambda one: "rule" in one)]


def elements(objects: list[NftObject], name: str) -> list[Any]:
    (found,) = (
        one["set"] for one in objects if one.get("set", {}).get("name") == name
    )
    return list(found.get("elem", []))


def test_administrators_and_tunnel_networks_lie_in_sets_by_family() -> None:
    table = desired("10.64.0.9/32", "192.168.7.0/24", "fd64::9/128")
    assert elements(table, "administrators4") == [
        "10.64.0.9",
        {"prefix": {"addr": "192.168.7.0", "len": 24}},
    ]
    assert elements(table, "administrators6") == ["fd64::9"]
    assert elements(table, "networks4") == [
        {"prefix": {"addr": "10.64.0.0", "len": 16}}
    ]
    assert elements(table, "networks6") == [
        {"prefix": {"addr": "fd64::", "len": 64}}
    ]


def test_a_default_route_makes_nobody_an_administrator() -> None:
    table = desired("0.0.0.0/0", "::/0", "10.64.0.9/32")
    assert elements(table, "administrators4") == ["10.64.0.9"]
    assert elements(table, "administrators6") == []


def test_networks_that_overlap_become_one_element() -> None:
    assert elements(
        desired("10.64.0.9/32", "10.64.0.8/31"), "administrators4"
    ) == [{"prefix": {"addr": "10.64.0.8", "len": 31}}]


def test_each_chain_ends_what_comes_from_the_interface_and_nothing_else() -> (
    None
):
    rules = [one["rule"] for one in desired() if "rule" in one]
    inside = {
        "match": {
            "op": "==",
            "left": {"meta": {"key": "iifname"}},
            "right": "wg0",
        }
    }
    assert all(rule["expr"][0] == inside for rule in rules)
    for chain in ("forward", "input"):
        assert [rule["expr"][1:] for rule in rules if rule["chain"] == chain][
            -1
        ] == [{"drop": None}]


def test_no_table_is_written_whole_in_one_transaction() -> None:
    commands = plan(desired("10.64.0.9/32"), None)
    assert commands is not None
    assert [next(iter(command)) for command in commands[:3]] == [
        "add",
        "delete",
        "add",
    ]
    assert [command["add"] for command in commands[2:]] == desired(
        "10.64.0.9/32"
    )
    assert describe(commands) == ["write nftables table inet cerebro_wg0"]


def test_a_table_as_nft_lists_it_is_left_alone() -> None:
    table = desired(
        "10.64.0.9/32", "10.64.0.11/32", "192.168.7.0/24", "fd64::9/128"
    )
    assert "ipv6-icmp" in json.dumps(as_listed(table))
    assert plan(table, as_listed(table)) is None
    assert plan(desired(), as_listed(desired())) is None


def test_the_forms_of_a_newer_nft_are_equal_too() -> None:
    text = json.dumps(as_listed(desired("10.64.0.9/32")))
    newer = text.replace('"flags": ["interval"]', '"flags": "interval"')
    newer = newer.replace('"elem": ["10.64.0.9"]', '"elem": "10.64.0.9"')
    newer = newer.replace(
        '["established", "related"]', '{"|": ["related", "established"]}'
    )
    assert newer.count('"|"') == 2
    assert plan(desired("10.64.0.9/32"), json.loads(newer)) is None


def test_one_administrator_more_and_one_less_change_only_these() -> None:
    have = as_listed(desired("10.64.0.9/32", "10.64.0.20/32"))
    commands = plan(
        desired("10.64.0.9/32", "10.64.0.30/32", "fd64::30/128"), have
    )
    set_of = {"family": "inet", "table": "cerebro_wg0"}
    assert commands == [
        {
            "delete": {
                "element": set_of
                | {"name": "administrators4", "elem": ["10.64.0.20"]}
            }
        },
        {
            "add": {
                "element": set_of
                | {"name": "administrators4", "elem": ["10.64.0.30"]}
            }
        },
        {
            "add": {
                "element": set_of
                | {"name": "administrators6", "elem": ["fd64::30"]}
            }
        },
    ]
    assert (
        describe(commands)[0]
        == "delete 10.64.0.20/32 in nftables set administrators4 of cerebro_wg0"
    )


@given(
    *(
        st.sets(st.integers(2, 250).map(lambda n: f"10.64.7.{n}/32"))
        for _ in range(2)
    )
)
def test_elements_deleted_and_added_lead_from_one_state_to_the_other(
    have: set[str], want: set[str]
) -> None:
    commands = plan(desired(*want), as_listed(desired(*have)))
    reached = {str(one) for one in elements(desired(*have), "administrators4")}
    for command in commands or []:
        for verb, body in command.items():
            changed = {str(one) for one in body["element"]["elem"]}
            reached = (
                reached - changed if verb == "delete" else reached | changed
            )
    assert reached == {
        str(one) for one in elements(desired(*want), "administrators4")
    }
    assert commands is None or have != want


FOREIGN_RULE = {
    "rule": {
        "family": "inet",
        "table": "cerebro_wg0",
        "chain": "forward",
        "expr": [{"accept": None}],
    }
}
FOREIGN_CHAIN = {
    "chain": {"family": "inet", "table": "cerebro_wg0", "name": "mine"}
}
FOREIGN_SET = {
    "set": {
        "family": "inet",
        "table": "cerebro_wg0",
        "name": "mine",
        "type": "ipv4_addr",
    }
}


def foreign_rule(*statements: object) -> NftObject:
    return {
        "rule": {
            "family": "inet",
            "table": "cerebro_wg0",
            "chain": "input",
            "expr": list(statements),
        }
    }


def foreign_match(left: NftObject, *elements: object) -> NftObject:
    return foreign_rule(
        {
            "match": {
                "op": "==",
                "left": left,
                "right": {"set": list(elements)},
            }
        },
        {"accept": None},
    )


PORT = {"payload": {"protocol": "tcp", "field": "dport"}}
SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}
NAMES = {
    "family": "inet",
    "table": "cerebro_wg0",
    "name": "names",
    "type": "ifname",
    "elem": ["eth0", "eth1"],
}
FOREIGN = {
    "rule": FOREIGN_RULE,
    "chain": FOREIGN_CHAIN,
    "set": FOREIGN_SET,
    "ports": foreign_match(PORT, 22, {"range": [80, 90]}),
    "networks": foreign_match(
        SOURCE, {"prefix": {"addr": "10.0.0.0", "len": 8}}, "172.16.0.1"
    ),
    "concatenation": foreign_match(
        {"concat": [SOURCE, PORT]}, {"concat": ["10.0.0.1", 22]}
    ),
    "set of names": {"set": NAMES},
    "statement that nft has no JSON for": foreign_rule(
        "match of an extension"
    ),
    "rule that says nothing": {
        "rule": {"family": "inet", "table": "cerebro_wg0", "chain": "input"}
    },
}
"""As nft 1.0.6 lists them."""


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN.keys())
def test_d3_what_somebody_put_into_our_table_makes_it_be_written_anew(
    foreign: NftObject,
) -> None:
    """D3: kept right like the peers, whatever it is that somebody put there."""
    commands = plan(desired(), [*as_listed(desired()), foreign])
    assert commands is not None
    assert [next(iter(command)) for command in commands[:3]] == [
        "add",
        "delete",
        "add",
    ]
    assert {"add": foreign} not in commands


@pytest.mark.parametrize("index", range(len(desired())))
def test_whatever_is_missing_is_put_back(index: int) -> None:
    commands = plan(
        desired(), as_listed(desired()[:index] + desired()[index + 1 :])
    )
    assert commands is not None
    assert {"add": desired()[index]} in commands


def test_rules_in_another_order_and_a_table_put_to_sleep_are_repaired() -> (
    None
):
    table = desired()
    assert plan(table, [table[0], *reversed(table[1:])]) is not None
    asleep = as_listed(table)
    asleep[1]["table"]["flags"] = ["dormant"]
    assert plan(table, asleep) is not None


def test_an_element_with_more_to_it_than_an_address_is_replaced() -> None:
    have = as_listed(desired("10.64.0.9/32"))
    odd = {"elem": {"val": "10.64.0.9", "timeout": 60}}
    for one in have:
        if one.get("set", {}).get("name") == "administrators4":
            one["set"]["elem"] = [odd]
    commands = plan(desired("10.64.0.9/32"), have)
    assert [
        (verb, body["element"]["elem"])
        for one in commands or []
        for verb, body in one.items()
    ] == [
        ("delete", [odd]),
        ("add", ["10.64.0.9"]),
    ]


def test_removal_takes_the_table_whether_or_not_it_is_there() -> None:
    assert [next(iter(command)) for command in removal("wg0")] == [
        "add",
        "delete",
    ]
    assert describe(removal("wg0")) == [
        "remove nftables table inet cerebro_wg0"
    ]

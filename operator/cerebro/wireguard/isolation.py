"""What keeps peers apart (rule D3): one nftables table for each Hub's
interface. Pure; `nft` runs the plan.

Whoever sends through the interface and is no administrator counts as a router,
also an unknown peer that is kept. A router opens no connection: neither to
another peer, nor through the node, nor to the node, which it may only ping. An
administrator opens connections to the tunnel addresses, the node and beyond
it. Replies pass. They are known by the direction of a connection, so that a
connection which was opened while the table was missing ends with its repair.
That a peer cannot send from another's address is WireGuard's own work.

The rules depend on the interface's name alone. All that comes and goes lies in
sets, of which single elements are changed; where the rules differ, the whole
table is replaced in one transaction, so it is never missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

FAMILY = "inet"
PROTOCOL_NUMBERS = {"icmp": 1, "icmpv6": 58, "ipv6-icmp": 58}
"""nft prints a number where the system has no /etc/protocols."""

NftObject = dict[str, Any]
"""An object or a command in nft's JSON form (libnftables-json(5))."""


def table_name(interface: str) -> str:
    """Return the name of an interface's table."""
    return f"cerebro_{interface}"


def desired_table(
    interface: str, addresses: Iterable[str], administrators: Iterable[str]
) -> list[NftObject]:
    """Return the table as nft would list it.

    `addresses`: the Hub's own, with prefix length; their networks hold the tunnel addresses.
    `administrators`: networks that are allowed to Peers without a deviceRef. Default routes among them are left
    out: what lies behind them is nobody's laptop. No other peer may hold an address within them.
    """

    table = table_name(interface)
    objects: list[NftObject] = [{"table": {"family": FAMILY, "name": table}}]

    # The sets: all that comes and goes.
    members = {
        "administrators": _collapsed(administrators),
        "networks": _collapsed(addresses),
    }

    for name, networks in members.items():
        objects += [_set(table, name, version, networks) for version in (4, 6)]

    # The rules, which depend on the interface's name alone.
    for chain, rules in _chains(interface).items():
        base = {
            "name": chain,
            "type": "filter",
            "hook": chain,
            "prio": 0,
            "policy": "accept",
        }

        objects.append({"chain": {"family": FAMILY, "table": table} | base})
        objects += [_rule(table, chain, rule) for rule in rules]

    return objects


def plan(
    desired: Sequence[NftObject], actual: Sequence[NftObject] | None
) -> list[NftObject] | None:
    """Return the commands of one transaction that make the table as desired;
    None if it is.

    `actual`: what `nft -j list table` lists; None if no such table exists.
    """

    want = _look(desired)
    have = _look(actual or ())
    if (want.frame, want.rules) != (have.frame, have.rules):
        return _replacement(desired)

    name = desired[0]["table"]["name"]
    commands = _element_commands("delete", name, have.elements, want.elements)
    commands += _element_commands("add", name, want.elements, have.elements)

    return commands or None


def _replacement(desired: Sequence[NftObject]) -> list[NftObject]:
    """Return the commands that put a whole table in place of whatever has its
    name.
    """
    table = desired[0]

    # A table can only be deleted if it exists, so it is added first.
    return [
        {"add": table},
        {"delete": table},
        *({"add": part} for part in desired),
    ]


def _element_commands(
    verb: str, table: str, elements: _Elements, but_those_of: _Elements
) -> list[NftObject]:
    """Return the commands that add or delete (`verb`) elements which the same
    set of the other table lacks.
    """
    commands: list[NftObject] = []
    for set_name, members in elements.items():
        changed = [
            raw
            for text, raw in members.items()
            if text not in but_those_of[set_name]
        ]
        if changed:
            body = {
                "family": FAMILY,
                "table": table,
                "name": set_name,
                "elem": changed,
            }

            commands.append({verb: {"element": body}})

    return commands


def removal(interface: str) -> list[NftObject]:
    """Return the commands that remove an interface's table, whether or not it
    exists.
    """
    table = {"table": {"family": FAMILY, "name": table_name(interface)}}

    return [{"add": table}, {"delete": table}]


def describe(commands: Sequence[NftObject]) -> list[str]:
    """Return in words, for people, what a plan does: a line for each command,
    or one for a whole table.
    """

    bodies = [body for command in commands for body in command.values()]
    if any("table" in body for body in bodies):
        name = commands[0]["add"]["table"]["name"]
        made = any("chain" in body for body in bodies)

        return [
            f"{'write' if made else 'remove'} nftables table {FAMILY} {name}"
        ]

    lines = []
    for command in commands:
        for verb, body in command.items():
            element = body["element"]
            members = ", ".join(_text(raw) for raw in element["elem"])
            lines.append(
                f"{verb} {members} in nftables set {element['name']} of {element['table']}"
            )

    return lines


def _chains(interface: str) -> dict[str, list[list[NftObject]]]:
    """Return the rules of each chain, in their order; a rule is a list of
    statements.
    """

    inside = _match("==", {"meta": {"key": "iifname"}}, interface)
    leaving = _match("!=", {"meta": {"key": "oifname"}}, interface)
    icmp = _match(
        "==",
        {"meta": {"key": "l4proto"}},
        {"set": sorted(set(PROTOCOL_NUMBERS.values()))},
    )

    from_administrator = [
        _address(protocol, "saddr", "administrators")
        for protocol in ("ip", "ip6")
    ]

    to_tunnel = [
        _address(protocol, "daddr", "networks") for protocol in ("ip", "ip6")
    ]

    accept: NftObject = {"accept": None}
    replies = [
        inside,
        _match("in", {"ct": {"key": "state"}}, ["established", "related"]),
        _match("==", {"ct": {"key": "direction"}}, "reply"),
        accept,
    ]

    drop = [inside, {"drop": None}]

    # To tunnel addresses, and beyond the node.
    forward = [replies]
    for source, to in zip(from_administrator, to_tunnel, strict=True):
        forward.append([inside, source, to, accept])

    for source in from_administrator:
        forward.append([inside, leaving, source, accept])

    forward.append(drop)

    # To the node itself.
    to_node = [replies, [inside, icmp, accept]]
    for source in from_administrator:
        to_node.append([inside, source, accept])

    to_node.append(drop)

    return {"forward": forward, "input": to_node}


def _match(operator: str, left: NftObject, right: object) -> NftObject:
    return {"match": {"op": operator, "left": left, "right": right}}


def _address(protocol: str, field_name: str, set_name: str) -> NftObject:
    left = {"payload": {"protocol": protocol, "field": field_name}}
    return _match("==", left, f"@{set_name}{4 if protocol == 'ip' else 6}")


def _set(
    table: str,
    name: str,
    version: int,
    networks: Iterable[IPv4Network | IPv6Network],
) -> NftObject:
    """Return the set of those networks that have an IP version."""
    body: NftObject = {
        "family": FAMILY,
        "table": table,
        "name": f"{name}{version}",
        "type": f"ipv{version}_addr",
        "flags": ["interval"],
    }

    elements = [
        _element(network) for network in networks if network.version == version
    ]

    if elements:
        body["elem"] = elements

    return {"set": body}


def _rule(
    table: str, chain: str, statements: Sequence[NftObject]
) -> NftObject:
    return {
        "rule": {
            "family": FAMILY,
            "table": table,
            "chain": chain,
            "expr": statements,
        }
    }


def _collapsed(networks: Iterable[str]) -> list[IPv4Network | IPv6Network]:
    """Return networks without overlaps, which an interval set refuses, and
    without default routes.
    """
    parsed = [ip_network(network, strict=False) for network in networks]
    narrow = [network for network in parsed if network.prefixlen]

    return [
        *collapse_addresses(
            network for network in narrow if isinstance(network, IPv4Network)
        ),
        *collapse_addresses(
            network for network in narrow if isinstance(network, IPv6Network)
        ),
    ]


def _element(network: IPv4Network | IPv6Network) -> object:
    address = str(network.network_address)
    if network.prefixlen == network.max_prefixlen:
        return address

    return {"prefix": {"addr": address, "len": network.prefixlen}}


# --- what is compared


_Elements = dict[str, dict[str, object]]
"""By set: each element as nft wrote it, by its text."""


@dataclass(frozen=True, slots=True)
class _Look:
    """A table without what nft adds or writes in another way."""

    frame: list[str] = field(default_factory=list)
    """Table, sets and chains, and whatever else somebody put there; without
    elements and rules.
    """

    rules: dict[str, list[str]] = field(default_factory=dict)
    """By chain, in their order."""

    elements: _Elements = field(default_factory=dict)


def _look(objects: Sequence[NftObject]) -> _Look:
    look = _Look()
    parts = [part for nft_object in objects for part in nft_object.items()]
    for kind, given in parts:
        if kind == "metainfo":
            continue

        body = {key: value for key, value in given.items() if key != "handle"}
        if kind == "rule":
            body["expr"] = [
                _statement(statement) for statement in body.get("expr", [])
            ]

            look.rules.setdefault(body["chain"], []).append(
                json.dumps(body, sort_keys=True)
            )

            continue

        if kind == "set":
            look.elements[body["name"]] = {
                _text(raw): raw for raw in _listed(body.pop("elem", []))
            }

            body["flags"] = _listed(body.get("flags", []))

        look.frame.append(json.dumps({kind: body}, sort_keys=True))

    look.frame.sort()

    return look


def _statement(statement: Any) -> Any:
    """Return a statement in the form that is compared; one of somebody else's,
    of another form, stays as it is.
    """

    if not isinstance(statement, dict) or "match" not in statement:
        return statement

    match = statement["match"]
    right = match["right"]
    if (
        isinstance(right, dict) and "|" in right
    ):  # newer nft writes flags as an operation
        right = right["|"]

    if isinstance(right, dict) and "set" in right:
        numbers = [_number(value) for value in _listed(right["set"])]
        right = {"set": sorted(numbers, key=str)}
    elif isinstance(right, list):
        right = sorted(right, key=str)

    return {"match": match | {"right": right}}


def _number(value: Any) -> Any:
    return (
        PROTOCOL_NUMBERS.get(value, value) if isinstance(value, str) else value
    )


def _listed(value: Any) -> list[Any]:
    """Return a list also where newer nft writes the only element of a list
    without the list.
    """
    return value if isinstance(value, list) else [value]


def _text(element: object) -> str:
    """Return an element of a set as canonical text."""
    try:
        if isinstance(element, dict) and "prefix" in element:
            prefix = element["prefix"]
            return str(ip_network(f"{prefix['addr']}/{prefix['len']}"))

        if isinstance(element, str):
            return str(ip_network(element))
    except ValueError:
        pass  # of somebody else's set: the name of an interface or a service

    return json.dumps(element, sort_keys=True)

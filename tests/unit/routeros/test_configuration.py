"""The plan of a router's end of its tunnel: what it changes and leaves, over the API and pasted.

The console is `console.py` and `console_router.py`, which share no code with ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.resources import Device, Hub
from cerebro.routeros.bootstrap import Tunnel, script, tunnel_of
from cerebro.routeros.client.command import Command
from cerebro.routeros.configuration.desired import (
    Configuration,
    Part,
    WantedRow,
)
from cerebro.routeros.configuration.plan import configuration_plan
from cerebro.routeros.configuration.steps import ConfigurationPlan
from cerebro.routeros.menus.system import SCRIPT
from cerebro.routeros.preview import preview
from support.console_router import ConsoleRouter

HUB_KEY = "h" * 42 + "A="
MARKER = "cerebro:main:tunnel"
INTERFACE, PEERS = "/interface/wireguard", "/interface/wireguard/peers"
ADDRESS, FILTER = "/ip/address", "/ip/firewall/filter"
SERVICE = "/ip/service"
FLAGS = {"yes": "true", "no": "false"}
BACK = {"true": "yes", "false": "no"}
Rows = list[dict[str, Any]]


def tunnel(*addresses: str, **spec: Any) -> Tunnel:
    inside = addresses or ("10.8.0.1/16", "10.99.0.1/24")
    hub = Hub.model_validate(
        {
            "kind": "Hub",
            "metadata": {"name": "hub-1"},
            "spec": {
                "nodeName": "node-1",
                "addresses": inside,
                "endpoint": "[2001:db8::1]:51820",
            },
            "status": {"publicKey": HUB_KEY},
        }
    )
    device = Device.model_validate(
        {
            "kind": "Device",
            "metadata": {"name": "r1"},
            "spec": {
                "hubRef": {"name": "hub-1"},
                "tunnelAddress": "10.8.0.7",
                "api": {"credentialsSecretRef": {"name": "router"}},
                **spec,
            },
        }
    )
    return tunnel_of(hub, device, installation="main")


def tables(router: ConsoleRouter) -> dict[str, Rows]:
    """The rows as the API gives them."""
    return {
        menu: [
            {name: FLAGS.get(value, value) for name, value in row.items()}
            for row in rows
        ]
        for menu, rows in router.tables.items()
    }


def said(found: dict[str, Rows]) -> dict[str, Rows]:
    """Rows in their order, without what the router makes up; a flag that is off is as good as none."""
    return {
        menu: [
            {
                name: value
                for name, value in row.items()
                if name not in (".id", "dynamic")
                and (menu, name) != (INTERFACE, "public-key")
                and (name, value) != ("disabled", "false")
            }
            for row in rows
        ]
        for menu, rows in found.items()
    }


def apply(found: dict[str, Rows], commands: Iterable[Command]) -> None:
    """Run commands as the API would."""
    for command in commands:
        rows, values = found[command.path], dict(command.attributes)
        ids = [row[".id"] for row in rows]
        if command.verb == "add":
            before = values.pop("place-before", None)
            at = ids.index(before) if before else len(rows)
            rows.insert(at, {".id": f"*new{len(rows)}", **values})
        elif command.verb == "remove":
            del rows[ids.index(values[".id"])]
        elif command.verb == "move":
            row = rows.pop(ids.index(values["numbers"]))
            ids = [row[".id"] for row in rows]
            rows.insert(ids.index(values["destination"]), row)
        else:
            row = rows[ids.index(values.pop(".id"))]
            if command.path == INTERFACE and "name" in values:
                rename(found, row["name"], values["name"])
            row.update(values)


def rename(found: dict[str, Rows], before: str, after: str) -> None:
    for row in (row for rows in found.values() for row in rows):
        for name in ("interface", "in-interface", "gateway"):
            if row.get(name) == before:
                row[name] = after


def planned(router: ConsoleRouter, wanted: Tunnel) -> ConfigurationPlan:
    return configuration_plan(Configuration(wanted), tables(router))


def paste(router: ConsoleRouter, wanted: Tunnel) -> ConfigurationPlan:
    """Paste the plan; the API arrives at the same tables, and nothing is left to do."""
    plan = planned(router, wanted)
    over_api = tables(router)
    apply(over_api, plan.commands)
    lines = preview(plan.commands, plan.rows, len(plan.commands), 256)
    router.paste(lines)
    assert router.failed == []
    assert said(tables(router)) == said(over_api)
    assert planned(router, wanted).commands == []
    return plan


def by_hand() -> ConsoleRouter:
    """A router in use, without a tunnel to us."""
    router = ConsoleRouter()
    router.put(INTERFACE, name="office", comment="mine")
    router.put(PEERS, interface="office", public_key="other", comment="mine")
    router.put(ADDRESS, address="192.168.88.1/24", interface="bridge")
    router.put(FILTER, chain="forward", action="fasttrack-connection")
    router.put(FILTER, chain="input", action="drop", comment="all else")
    router.tables[FILTER].insert(
        0,
        {".id": "*FE", "dynamic": "yes", "chain": "input", "action": "jump"},
    )
    return router


def test_a_router_that_was_set_up_by_hand_gets_its_tunnel() -> None:
    router = by_hand()
    before = said(tables(router))
    paste(router, tunnel())
    after = said(tables(router))
    for menu, rows in before.items():
        if menu != SERVICE:
            assert [row for row in after[menu] if row in rows] == rows
    inputs = [row for row in after[FILTER] if row["chain"] == "input"]
    assert [row["action"] for row in inputs] == ["jump", "accept", "drop"]
    assert inputs[1] == {
        "chain": "input",
        "action": "accept",
        "in-interface": "cerebro-main",
        "src-address": "10.8.0.1",
        "protocol": "tcp",
        "dst-port": "8728",
        "comment": MARKER,
    }
    (peer,) = (row for row in after[PEERS] if row["comment"] == MARKER)
    assert peer["endpoint-address"] == "2001:db8::1"
    assert peer["endpoint-port"] == "51820"
    assert peer["allowed-address"] == "10.8.0.0/16,10.99.0.0/24"


@pytest.mark.parametrize(
    "addresses", [("10.8.0.1/16", "10.99.0.1/24"), ("fd00:8::1/64",)]
)
def test_what_the_pasted_script_made_is_as_wanted(
    addresses: tuple[str, ...],
) -> None:
    address = "10.8.0.7" if len(addresses) == 2 else "fd00:8::7"
    wanted = tunnel(*addresses, tunnelAddress=address)
    router = by_hand()
    router.paste(script(wanted, ("", "")))
    assert router.failed == []
    plan = paste(router, wanted)
    assert [command.path for command in plan.commands] == [SERVICE]


def the_older_relays(order: str = "sync") -> ConsoleRouter:
    more = " deviceId:BUS05" if order == "bootstrap" else ""
    router = by_hand()
    router.put(INTERFACE, name="wg-relay", comment=f"managed-by-relay{more}")
    router.put(
        PEERS,
        interface="wg-relay",
        public_key=HUB_KEY,
        allowed_address="10.8.0.7/32",
        comment=f"vps-peer{more}",
    )
    comment = f"tunnel for{more}" if more else "relay-tunnel"
    router.put(
        ADDRESS,
        address="10.8.0.7/32",
        network="10.8.0.7",
        interface="wg-relay",
        comment=comment,
    )
    router.put(
        FILTER,
        chain="input",
        action="accept",
        in_interface="wg-relay",
        comment="relay-allow-wg",
    )
    return router


@pytest.mark.parametrize("order", ["sync", "bootstrap"])
def test_b4_the_older_relays_rows_are_taken_over(order: str) -> None:
    router = the_older_relays(order)
    ids = {
        menu: {row[".id"] for row in router.tables[menu]}
        for menu in (INTERFACE, PEERS, ADDRESS, FILTER)
    }
    plan = paste(router, tunnel())
    assert {command.verb for command in plan.commands} <= {
        "set",
        "move",
        "add",
    }
    for menu, before in ids.items():
        assert {row[".id"] for row in router.tables[menu]} == before
    (rule,) = (
        row for row in router.tables[FILTER] if row.get("comment") == MARKER
    )
    assert (rule["protocol"], rule["dst-port"]) == ("tcp", "8728")


def test_the_older_relays_tunnel_to_another_machine_is_left() -> None:
    router = the_older_relays()
    router.tables[PEERS][-1]["public-key"] = "another"
    kept = [dict(router.tables[menu][-1]) for menu in (INTERFACE, PEERS)]
    paste(router, tunnel())
    assert kept[0] in router.tables[INTERFACE]
    assert kept[1] in router.tables[PEERS]


def test_a_tunnel_to_the_hub_made_by_hand_is_said_and_left() -> None:
    router = by_hand()
    router.tables[PEERS][0]["public-key"] = HUB_KEY
    plan = planned(router, tunnel())
    assert plan.commands == []
    assert "the interface office, made by hand" in plan.notes[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "10.8.0.1/32"),
        ("10.8.0.0/16", "10.8.0.0/16"),
        ("192.168.88.0/24", "192.168.88.0/24,10.8.0.1/32"),
    ],
)
def test_d3_the_service_admits_the_hub_and_whom_a_person_listed(
    before: str, after: str
) -> None:
    router = by_hand()
    router.tables[SERVICE][0].update(address=before, disabled="yes")
    paste(router, tunnel())
    service = router.tables[SERVICE][0]
    assert (service["address"], service["disabled"]) == (after, "no")
    assert router.tables[SERVICE][1]["address"] == ""


def test_a_service_on_another_port_is_said() -> None:
    router = by_hand()
    plan = planned(router, tunnel(api={**API, "port": 9000}))
    assert "listens on port 8728, and spec.api.port says 9000" in plan.notes[0]


API = {"credentialsSecretRef": {"name": "router"}}

drifts = st.lists(
    st.tuples(
        st.sampled_from([INTERFACE, PEERS, ADDRESS, "/ip/route", FILTER]),
        st.sampled_from(["remove", "disable", "double", "change", "last"]),
    ),
    max_size=6,
)
CHANGES = {
    INTERFACE: {"mtu": "1300"},
    PEERS: {"allowed-address": "10.8.0.7/32", "endpoint-port": "1"},
    ADDRESS: {"address": "10.8.0.8/32"},
    "/ip/route": {"dst-address": "10.77.0.0/24"},
    FILTER: {"src-address": "0.0.0.0/0", "chain": "forward"},
}


@settings(max_examples=150, deadline=None)
@given(drifts)
def test_after_any_drift_it_is_equal_again_and_rows_of_others_stay(
    drift: list[tuple[str, str]],
) -> None:
    wanted = tunnel()
    router = by_hand()
    foreign = by_hand().tables
    paste(router, wanted)
    for menu, kind in drift:
        rows = router.tables[menu]
        ours = [row for row in rows if MARKER in row.get("comment", "")]
        if not ours:
            continue
        row = ours[0]
        if kind == "remove":
            rows.remove(row)
        elif kind == "disable":
            row["disabled"] = "yes"
        elif kind == "change":
            row.update(CHANGES[menu])
        elif kind == "last":
            rows.remove(row)
            rows.append(row)
        elif menu not in (INTERFACE, PEERS):
            router.put(menu)
            rows[-1].update({name: row[name] for name in row if name != ".id"})
    paste(router, wanted)
    for menu in (each.path for each in Configuration(wanted).menus):
        if menu != SERVICE:
            assert all(row in router.tables[menu] for row in foreign[menu])
    ours = [
        row
        for rows in router.tables.values()
        for row in rows
        if MARKER in row.get("comment", "")
    ]
    assert len(ours) == 5


GUARD = "cerebro:main:guard"


def with_script(source: str | None) -> Configuration:
    """A tunnel, and a part of another menu; None: its script is not wanted any more."""
    values = {"name": "watch", "source": source or "", "comment": GUARD}
    row = WantedRow(SCRIPT, values, key=("name",))
    rows = (row,) if source else ()
    part = Part(GUARD, (SCRIPT,), rows, risky=False)
    return Configuration(tunnel(), (part,))


def test_a_further_part_is_planned_like_the_tunnel_and_is_told_apart() -> None:
    router = by_hand()
    paste(router, tunnel())
    found = tables(router)
    found[SERVICE][0]["address"] = "10.8.0.1/32"
    found["/system/script"] = [{".id": "*1", "name": "mine", "source": "x"}]

    for source in ("one", "two"):
        plan = configuration_plan(with_script(source), found)
        assert plan.risky() == []
        assert [step.command for step in plan.harmless()] == plan.commands
        apply(found, plan.commands)
        assert configuration_plan(with_script(source), found).commands == []

    assert found["/system/script"][1]["source"] == "two"
    plan = configuration_plan(with_script(None), found)
    assert [step.command.verb for step in plan.harmless()] == ["remove"]
    apply(found, plan.commands)
    assert [row["name"] for row in found["/system/script"]] == ["mine"]


def test_what_is_risky_disables_a_row_and_only_then_it_is_removed() -> None:
    router = by_hand()
    paste(router, tunnel())
    router.put("/ip/route", dst_address="10.77.0.0/24", comment=MARKER)
    found = tables(router)

    (step,) = configuration_plan(Configuration(tunnel()), found).risky()
    assert step.command.attributes["disabled"] == "true"
    assert step.command.verb == "set"
    apply(found, [step.command])

    plan = configuration_plan(Configuration(tunnel()), found)
    assert plan.risky() == []
    (step,) = plan.harmless()
    assert step.command.verb == "remove"

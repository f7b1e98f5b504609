"""The undo of a change: what its script reverts, on the console double, whatever of the change was done.

The console is `console.py` and `console_router.py`, which share no code with ours.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.routeros.client.command import Command
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.configuration.plan import configuration_plan
from cerebro.routeros.configuration.steps import Step
from cerebro.routeros.configuration.undo import (
    is_armed,
    undo_schedulers,
    undo_script,
)
from cerebro.routeros.preview import preview
from support.console_router import ConsoleRouter
from unit.routeros.test_configuration import (
    ADDRESS,
    FILTER,
    INTERFACE,
    MARKER,
    PEERS,
    SERVICE,
    by_hand,
    paste,
    said,
    tables,
    the_older_relays,
    tunnel,
)

SCHEDULER = "/system/scheduler"
UNDO = "cerebro:main:undo"
PEER_BEFORE = (
    '/interface wireguard peers set [find where .id=*9] allowed-address=10.8.0.7/32 endpoint-address="" '
    'endpoint-port=0 persistent-keepalive=0s comment="vps-peer"'
)
CLOCK = {"date": "2026-11-29", "time": "16:00:00"}


def steps_on(router: ConsoleRouter) -> list[Step]:
    return configuration_plan(Configuration(tunnel()), tables(router)).risky()


def arm(router: ConsoleRouter, steps: list[Step]) -> str:
    """Put the schedulers there, as the API would; return their script."""
    for command in undo_schedulers(steps, "main", CLOCK):
        router.put(SCHEDULER)
        router.tables[SCHEDULER][-1].update(command.attributes)
    return str(router.tables[SCHEDULER][-1]["on-event"])


def do(router: ConsoleRouter, steps: list[Step], count: int) -> None:
    """Do the first steps."""
    commands = [step.command for step in steps]
    rows = {
        (step.menu.path, step.row[".id"]): step.row
        for step in steps
        if step.row is not None
    }
    router.paste(preview(commands[:count], rows, count, 256))
    assert router.failed == []


DEFAULTS = {
    "endpoint-address": "",
    "endpoint-port": "0",
    "persistent-keepalive": "0s",
    "mtu": "1420",
}


def told(router: ConsoleRouter) -> dict[str, list[dict[str, str]]]:
    """What rows say, in their order; a default is as good as nothing."""
    return {
        menu: [
            {k: v for k, v in row.items() if DEFAULTS.get(k) != v}
            for row in rows
        ]
        for menu, rows in said(tables(router)).items()
    }


def ours_after_drift() -> ConsoleRouter:
    """Our tunnel, changed by hand in many ways."""
    router = by_hand()
    paste(router, tunnel())
    router.put("/ip/route", dst_address="10.77.0.0/24", comment=MARKER)
    router.tables[PEERS][-1]["endpoint-port"] = "1"
    router.tables[ADDRESS][-1]["disabled"] = "yes"
    rule = next(row for row in router.tables[FILTER] if MARKER in row.values())
    del rule["protocol"]
    router.tables[FILTER].remove(rule)
    router.tables[FILTER].append(rule)
    router.tables[SERVICE][0].update(address="192.168.88.0/24", disabled="yes")
    return router


ROUTERS: list[Callable[[], ConsoleRouter]] = [
    by_hand,
    the_older_relays,
    ours_after_drift,
]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(ROUTERS), st.integers(0, 12))
def test_b11_the_undo_reverts_whatever_was_done(
    made: Callable[[], ConsoleRouter], count: int
) -> None:
    router = made()
    before = told(router)
    steps = steps_on(router)
    script = arm(router, steps)
    do(router, steps, min(count, len(steps)))
    for _ in range(2):
        router.paste([script])
        assert router.failed == []
        assert told(router) == before


def test_the_schedulers_go_first_so_that_it_runs_once() -> None:
    router = by_hand()
    script = arm(router, steps_on(router))
    lines = script.splitlines()
    assert (
        lines[0] == f'/system scheduler remove [find where comment="{UNDO}"]'
    )
    router.put(SCHEDULER, name="mine", comment="mine")
    router.paste(lines[:1])
    assert [row["name"] for row in router.tables[SCHEDULER]] == ["mine"]


def test_the_text_of_an_undo() -> None:
    router = the_older_relays()
    assert undo_script(steps_on(router), "main").splitlines()[1:-1] == [
        f":do {{{line}}} on-error={{}}"
        for line in (
            '/ip service set [find where .id=*1] address=""',
            "/ip firewall filter move [find where .id=*B]",
            '/ip firewall filter set [find where .id=*B] comment="relay-allow-wg"',
            "/ip firewall filter set [find where .id=*B] !src-address",
            "/ip firewall filter set [find where .id=*B] !protocol",
            "/ip firewall filter set [find where .id=*B] !dst-port",
            '/ip route remove [find where dst-address=10.99.0.0/24 comment="cerebro:main:tunnel"]',
            '/ip address set [find where .id=*A] address=10.8.0.7/32 network=10.8.0.7 comment="relay-tunnel"',
            PEER_BEFORE,
            '/interface wireguard set [find where .id=*8] name=wg-relay comment="managed-by-relay"',
        )
    ]


SAYS_LITTLE = {
    SERVICE: {"name": "api", "port": "8728"},
    PEERS: {"interface": "w", "public-key": "k"},
    ADDRESS: {"address": "10.8.0.7/16", "interface": "w"},
    FILTER: {"chain": "input", "action": "accept"},
}
"""Rows by menu, of routers that leave out whatever is not set."""


def test_b11_what_was_not_set_gets_its_default_or_is_taken_away() -> None:
    """Only a matcher of the firewall is taken away: a line that a router cannot read would keep all lines from it."""
    menus = {menu.path: menu for menu in Configuration(tunnel()).menus}
    steps = []
    for path, row in SAYS_LITTLE.items():
        changed = dict.fromkeys(menus[path].compared, "x") | {".id": "*1"}
        step = Command(path, "set", changed)
        steps.append(Step(menus[path], step, True, {".id": "*1", **row}))

    lines = undo_script(steps, "main").splitlines()[1:-1]
    assert [line for line in lines if "!" in line] == [
        f":do {{/ip firewall filter set [find where .id=*1] !{name}}} on-error={{}}"
        for name in ("in-interface", "src-address", "protocol", "dst-port")
    ]
    said_of = "\n".join(line for line in lines if "!" not in line)
    assert 'set [find where .id=*1] address="" disabled=no' in said_of
    assert 'allowed-address="" endpoint-address=""' in said_of
    assert "address=10.8.0.7/16 network=10.8.0.0 interface=w" in said_of


@pytest.mark.parametrize(
    "wrong",
    [
        {"on-event": ":log info hello"},
        {"disabled": "true"},
        {"about": "inactivated, not allowed by device-mode"},
        {"name": "another"},
    ],
)
def test_it_is_armed_only_if_both_schedulers_are_there_and_run(
    wrong: dict[str, str],
) -> None:
    commands = undo_schedulers(steps_on(by_hand()), "main", CLOCK)
    rows = [dict(command.attributes) for command in commands]
    assert is_armed(commands, rows)
    rows[1].update(wrong)
    assert not is_armed(commands, rows)
    assert not is_armed(commands, rows[:1])


def test_it_fires_within_a_minute_and_at_the_start_of_the_router() -> None:
    at_start, timer = (
        dict(command.attributes)
        for command in undo_schedulers(steps_on(by_hand()), "main", CLOCK)
    )
    assert (at_start["start-time"], at_start["interval"]) == ("startup", "0s")
    assert timer["start-date"] == "2026-11-29"
    assert timer["start-time"] == "16:00:00"
    assert int(timer["interval"].removesuffix("s")) < 60
    assert timer["on-event"] == at_start["on-event"]


def test_a_scheduler_is_a_command_that_says_no_more_than_it_needs() -> None:
    for command in undo_schedulers(steps_on(by_hand()), "main", CLOCK):
        assert (command.path, command.verb) == (SCHEDULER, "add")
        assert command.attributes["policy"] == "read,write"
        assert command.attributes["comment"] == UNDO
        assert isinstance(command, Command)
    assert INTERFACE in {step.menu.path for step in steps_on(by_hand())}

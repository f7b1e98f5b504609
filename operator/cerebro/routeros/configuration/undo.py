"""How a router takes a change of its configuration back by itself: a script
that reverts the steps of a plan row by row, and the schedulers that run it
unless somebody takes them away before. Pure.

A scheduler is chosen over RouterOS' safe mode: that one exists over the API
from 7.18 only, undoes what anybody changes meanwhile, and only nine minutes
after the connection died.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from cerebro.routeros.client.command import Command
from cerebro.routeros.configuration.steps import Step
from cerebro.routeros.console import arguments, quote
from cerebro.routeros.menus.menu import Row
from cerebro.routeros.menus.system import SCHEDULER
from cerebro.routeros.preview import console_value

UNDO_AFTER = 45
"""Seconds from the arming of the undo until it runs, by the router's clock."""

UNDO_POLICIES = "read,write"
"""What the script needs, and no more than whoever writes it has."""

_CLOCK = ("date", "time")
_REMARKS = ("about", ".about")


def undo_comment(installation: str) -> str:
    """Return the comment of the schedulers of an undo."""
    return f"cerebro:{installation}:undo"


def clock_print() -> Command:
    """Return the command that reads the router's clock."""
    return Command("/system/clock", "print", {".proplist": ",".join(_CLOCK)})


def undo_print(installation: str) -> Command:
    """Return the command that reads the schedulers of an undo."""
    comment = undo_comment(installation)
    names = ",".join((".id", "name", "disabled", "on-event", *_REMARKS))

    return Command(
        SCHEDULER.path, "print", {".proplist": names}, (f"?comment={comment}",)
    )


def undo_schedulers(
    steps: Sequence[Step], installation: str, clock: Row
) -> list[Command]:
    """Return the commands that arm the undo of some steps.

    `clock` is the row of `clock_print`: the first scheduler counts from that
    moment. The second one runs when the router has started: after a reboot the
    clock may be wrong, and a date may be far away.
    """
    script = undo_script(steps, installation)
    name = f"cerebro-{installation}-undo"
    shared = {
        "on-event": script,
        "policy": UNDO_POLICIES,
        "comment": undo_comment(installation),
    }
    moment = {f"start-{part}": clock[part] for part in _CLOCK if part in clock}

    timer = {"name": name, **moment, "interval": f"{UNDO_AFTER}s", **shared}
    at_start = {
        "name": f"{name}-at-start",
        "start-time": "startup",
        "interval": "0s",
        **shared,
    }

    return [
        Command(SCHEDULER.path, "add", at_start),
        Command(SCHEDULER.path, "add", timer),
    ]


def is_armed(commands: Sequence[Command], rows: Sequence[Row]) -> bool:
    """Return whether a router has the schedulers that `undo_schedulers` asked
    for, and runs them. From 7.20 a remark says where device-mode does not let
    it.
    """

    # How a router keeps the ends of lines says nothing.
    running = {
        row.get("name"): row.get("on-event", "").split()
        for row in rows
        if row.get("disabled") not in ("true", "yes")
        and not any("device-mode" in row.get(name, "") for name in _REMARKS)
    }

    return all(
        running.get(command.attributes["name"])
        == command.attributes["on-event"].split()
        for command in commands
    )


def undo_script(steps: Sequence[Step], installation: str) -> str:
    """Return the script that reverts some steps, the last one first, whether
    or not they were done.

    It removes the schedulers that run it before all else, so that it runs
    once. What cannot be reverted does not keep the rest from it.
    """
    comment = quote(undo_comment(installation))
    lines = [f"/system scheduler remove [find where comment={comment}]"]

    for step in reversed(steps):
        lines += [f":do {{{line}}} on-error={{}}" for line in _reverted(step)]

    told = (
        "Cerebro took a change of the configuration back, nobody confirmed it"
    )
    lines.append(f":log warning {quote(told)}")

    return "\n".join(lines)


def _reverted(step: Step) -> list[str]:
    """Return the lines that revert a step."""
    menu = "/" + " ".join(step.menu.path.strip("/").split("/"))

    if step.row is None:
        return [f"{menu} remove {_found(step.added_as)}"]

    row_id = _found({".id": step.row[".id"]})

    if step.command.verb == "move":
        behind = step.row_behind
        place = (
            "" if behind is None else f" destination={_found({'.id': behind})}"
        )

        return [f"{menu} move {row_id}{place}"]

    # A property that cannot be taken away must not keep the others from
    # getting their values.
    values, absent = _values_before(step, step.row)
    changes = [arguments(values)] if values else []
    changes += [f"!{name}" for name in absent]

    return [f"{menu} set {row_id} {change}" for change in changes]


def _values_before(step: Step, row: Row) -> tuple[dict[str, str], list[str]]:
    """Return what a row said of the properties that a step sets, ready for
    the console, and which of them it had not.

    A property without a value that cannot be taken away is left out: a router
    that does not know such a line would run nothing of the script.
    """
    values, absent = {}, []

    for each in step.command.attributes:
        name = each.removeprefix("!")
        if name == ".id":
            continue

        value = row.get(name, _value_of_absent(step, row, name))

        if value is not None:
            values[name] = console_value(name, value)
        elif name in step.menu.removable:
            absent.append(name)

    return values, absent


def _value_of_absent(step: Step, row: Row, name: str) -> str | None:
    """Return what a property is that a row does not say; None for nothing."""
    if name == "comment":
        return ""

    if name == "network":
        return _network_of(row.get("address", ""))

    return step.menu.defaults.get(name)


def _network_of(address: str) -> str | None:
    """Return the network that a router computes for an address; None if that
    is none.
    """
    try:
        return str(ipaddress.ip_interface(address).network.network_address)
    except ValueError:
        return None


def _found(where: Mapping[str, str]) -> str:
    """Return the expression for the rows of the menu that have all these
    values.
    """
    values = {
        name: console_value(name, value) for name, value in where.items()
    }

    return f"[find where {arguments(values)}]"

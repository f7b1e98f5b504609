"""Commands of a plan as lines that a person reads, and may paste into the
console of the router. Pure.

A row that is changed is named by its id and by what it says: pasted later, a
line does nothing to a row that has changed since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import islice

from cerebro.routeros.client.command import Command
from cerebro.routeros.console import quote
from cerebro.routeros.menus.menu import Row
from cerebro.routeros.menus.sensitive import MASK, is_sensitive

RowNames = Mapping[tuple[str, str], Row]
"""Rows by the path of their menu and their id: each menu counts its own ids.
"""

LONGEST = 1024
"""Characters of a line that a status takes."""

_LONGEST_PART = 700
"""Characters of a part of a script, so that its line stays below `LONGEST`."""

_SAYS = (
    "name",
    "list",
    "mac-address",
    "address",
    "user",
    "chain",
    "interface",
    "src-address",
    "dst-address",
    "comment",
)
"""Properties by which a person knows a row."""

_BARE = re.compile(
    r"[A-Za-z0-9*][A-Za-z0-9._/-]*|[0-9A-F]{2}(:[0-9A-F]{2}){5}"
)
"""Words, addresses and MACs need no quotes, in a condition neither."""

_TARGETS = (".id", "numbers")
_PLACES = ("destination", "place-before")
_FLAGS = {"true": "yes", "false": "no"}


def preview(
    commands: Iterable[Command], rows: RowNames, count: int, limit: int
) -> list[str]:
    """Return `commands`, of which there are `count`, as at most `limit` lines
    of the console.

    `rows` are the rows that commands name by id. A line that cannot be pasted
    begins with `#`, which the console skips: one with a secret, which is not
    shown, one that is too long for a status, and, where lines are left out,
    the last, which says how many. A command with a script takes several.
    """
    shown = count if count <= limit else limit - 1
    known = dict(rows)
    lines = []

    for command in islice(commands, shown):
        lines += _script_lines(command, known) or [
            console_line(command, known)
        ]
        _note(command, known)

    if shown < count:
        lines.append(f"# and {count - shown} more commands")

    return lines


def console_line(command: Command, rows: RowNames) -> str:
    """Return a command as the console takes it: `/ip hotspot ip-binding add
    mac-address=… comment="…"`.
    """
    menu = "/" + " ".join(command.path.strip("/").split("/"))
    words = [menu, command.verb]
    secret = False

    for name, value in command.attributes.items():
        if name in _TARGETS:
            words.append(_row(command.path, value, rows))
        elif name in _PLACES:
            words.append(f"{name}={_row(command.path, value, rows)}")
        elif name.startswith("!"):
            words.append(name)
        elif value and is_sensitive(name):
            secret = True
            words.append(f"{name}={MASK}")
        else:
            words.append(f"{name}={console_value(name, value)}")

    line = " ".join(words)

    if len(line) > LONGEST:
        return f"# {menu} {command.verb}: too long to be shown"

    return f"# with the secret filled in: {line}" if secret else line


def _script_lines(command: Command, rows: RowNames) -> list[str]:
    """Return a command that writes a long script as lines that build the
    script up; none for any other command.
    """
    name, text = "source", command.attributes.get("source", "")
    if len(quote(text)) <= _LONGEST_PART:
        return []

    first, *further = _parts(text)
    attributes = {**command.attributes, name: first}
    lines = [console_line(replace(command, attributes=attributes), rows)]

    if ".id" in attributes:
        row = _row(command.path, attributes[".id"], rows)
    else:
        row = f"[find where name={console_value('name', attributes['name'])}]"

    menu = lines[0].partition(f" {command.verb} ")[0]

    lines += (
        f"{menu} set {row} {name}=([get {row} {name}] . {quote(part)})"
        for part in further
    )

    return lines


def _parts(text: str) -> list[str]:
    """Return a text in parts that each, quoted, fit into a line."""
    parts = [""]

    for line in text.splitlines(keepends=True):
        if len(quote(parts[-1] + line)) > _LONGEST_PART:
            parts.append("")

        parts[-1] += line

    return parts


def _note(command: Command, known: dict[tuple[str, str], Row]) -> None:
    """Note what a row says after a command: later lines name it by that."""
    key = (command.path, command.attributes.get(".id", ""))
    if command.verb != "set" or key not in known:
        return

    row = dict(known[key])

    for name, value in command.attributes.items():
        if name.startswith("!"):
            row.pop(name[1:], None)
        elif name != ".id":
            row[name] = value

    known[key] = row


def _row(path: str, row_id: str, rows: RowNames) -> str:
    """Return the expression that gives a row, as long as it says the same."""
    row = rows.get((path, row_id), {})
    conditions = [f".id={row_id}"]
    conditions += [
        f"{name}={console_value(name, row[name])}"
        for name in _SAYS
        if row.get(name)
    ]

    return f"[find where {' '.join(conditions)}]"


def console_value(name: str, value: str) -> str:
    """Return a value in the form of the console."""
    if name == "comment":
        return quote(value)

    if value in _FLAGS:
        return _FLAGS[value]

    return value if _BARE.fullmatch(value) else quote(value)

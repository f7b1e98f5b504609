"""The verbs that menus share: add, set, unset, remove, enable, disable,
comment, move.

`Call` is one command on its way; the answer is written into it. Printing lives
in `printing.py`, verbs of single menus in `actions.py`, the way to a handler
in `dispatch.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from simulator.codec import encode_sentence, to_bytes
from simulator.errors import (
    BAD_VALUE,
    Trap,
    missing,
    no_such_item,
    unknown_parameter,
)
from simulator.menu import MenuRouter, MenuScripts
from simulator.network import Network, NetworkRouter
from simulator.options import Version
from simulator.rights import Rights
from simulator.row import Row
from simulator.safe_mode import SafeMode
from simulator.syslog import SysLog
from simulator.table import Table

Emit = Callable[[bytes], None]
Stop = Callable[[], None]


class CommandScripts(MenuScripts, Protocol):
    """The part of the scripts that a command needs."""

    def answer(self, call: Call, name: str) -> None:
        """Run a script for a command, which is answered when it ends. Raises
        Trap.
        """


class CommandRouter(NetworkRouter, MenuRouter, Protocol):
    """The part of the router that a command needs. `absent` are the paths of
    the menus that the router lacks.
    """

    version: Version
    absent: set[str]
    network: Network
    safe_mode: SafeMode
    syslog: SysLog

    @property
    def scripts(self) -> CommandScripts:
        """The scripts of the router."""

    def reboot(self, seconds: float) -> None:
        """Go down now and come back after `seconds`."""


@dataclass
class Call:
    """One command with what it may use; `out` collects its encoded sentences.

    A command that goes on sets `stop`, which ends it, and later sends through
    `emit`; `finished` tells the session that it came to its end by itself.
    `session` is the number of the session that sent it, 0 for a person at the router.
    """

    router: CommandRouter
    rights: Rights
    path: str
    verb: str
    arguments: dict[str, str]
    queries: list[str]
    tag: bytes | None = None
    out: list[bytes] = field(default_factory=list)
    ret: str | None = None
    stop: Stop | None = None
    emit: Emit = lambda _sentence: None
    finished: Callable[[], None] = lambda: None
    session: int = 0

    @property
    def table(self) -> Table:
        """The menu's table."""
        return self.router.tables[self.path]

    def sentence(self, *parts: str) -> bytes:
        """Return an encoded sentence of this command, with its tag where the
        router puts it.
        """
        raw = [to_bytes(word) for word in parts]
        if self.tag is not None:
            raw.insert(
                1 if self.router.options.tag_position == "front" else len(raw),
                b".tag=" + self.tag,
            )
        return encode_sentence(raw)

    def done(self, ret: str | None = None) -> None:
        """Write the closing sentence; `ret` is its `=ret=`, the new id of an
        add.
        """
        self.ret = ret
        self.out.append(
            self.sentence("!done", *([] if ret is None else [f"=ret={ret}"]))
        )

    def trap(self, trap: Trap) -> None:
        """Write a `!trap` sentence, and those that come with it."""
        category = (
            [] if trap.category is None else [f"=category={trap.category}"]
        )
        self.out.append(
            self.sentence("!trap", *category, f"=message={trap.message}")
        )
        for further in trap.more:
            self.trap(further)


def parse_values(
    call: Call, arguments: dict[str, str]
) -> dict[str, str | None]:
    """Return the normal forms of the arguments; None for those to be removed.
    Raises Trap for a wrong one.
    """
    changes: dict[str, str | None] = {}
    for given, text in arguments.items():
        name = given.removeprefix("!")
        prop = call.table.properties.get(name)
        if prop is None or not prop.writable:
            raise unknown_parameter(name)
        if given != name or (text == "" and prop.empty_unsets):
            if prop.required:
                raise Trap(f"invalid value for argument {name}", BAD_VALUE)
            changes[name] = prop.default
        else:
            changes[name] = prop.kind.parse(name, text, call.router.tables)
    return changes


def targets(call: Call, text: str | None) -> list[Row]:
    """Return the rows of `.id` or `numbers`: ids, a comma list of ids, or
    unambiguous names.
    """
    if text is None:
        raise missing(".id")
    rows = []
    for reference in text.split(","):
        row = call.table.find(reference)
        if row is None:
            raise no_such_item(old=call.router.options.old_no_such_item)
        rows.append(row)
    return rows


def _pop_targets(arguments: dict[str, str]) -> str | None:
    numbers = arguments.pop("numbers", None)
    return arguments.pop(".id", numbers)


def _unlocked(row: Row) -> Row:
    if row.locked:
        raise Trap("failure: can not change dynamic item")
    return row


def add(call: Call) -> None:
    """`add`: gives the new id. Knows copy-from, and place-before in ordered
    menus.
    """
    table, arguments = call.table, dict(call.arguments)
    before = None
    if table.menu.ordered and "place-before" in arguments:
        before = targets(call, arguments.pop("place-before"))[0]
    values: dict[str, str | None] = {}
    if "copy-from" in arguments:
        values.update(
            _copied(targets(call, arguments.pop("copy-from"))[0], table)
        )
    values.update(parse_values(call, arguments))
    for prop in table.menu.properties:
        if prop.required and values.get(prop.name) is None:
            raise missing(prop.name)
    if table.menu.owned:
        _refuse_higher_policy(call, values.get("policy"))
        values["owner"] = call.rights.user or "admin"
    hidden = {
        n: v
        for n, v in values.items()
        if table.properties[n].kept_hidden and v is not None
    }
    visible = {
        n: v for n, v in values.items() if n not in hidden and v is not None
    }
    row = table.add(visible, hidden=hidden, before=before)
    call.done(row.id)


def _refuse_higher_policy(call: Call, text: str | None) -> None:
    """Raise the trap of a user who gives a script more rights than his own
    (reference 4.15); without a text it is the menu's default.
    """
    if text is None:
        text = call.table.properties["policy"].default or ""
    call.rights.need(*(word for word in text.split(",") if word))


def _copied(row: Row, table: Table) -> dict[str, str | None]:
    return {
        n: v
        for n, v in row.values.items()
        if n in table.properties and table.properties[n].writable
    }


def change(call: Call) -> None:
    """`set`: the named arguments of the ids; of the only row in a singleton
    menu.
    """
    table, arguments = call.table, dict(call.arguments)
    single = table.menu.singleton
    rows = (
        list(table.rows.values())
        if single
        else targets(call, _pop_targets(arguments))
    )
    changes = parse_values(call, arguments)
    if table.menu.owned and "policy" in changes:
        _refuse_higher_policy(call, changes["policy"])
    for row in rows:
        table.set(_unlocked(row), changes)
    call.done()


def _set_one(call: Call, name: str, value: str | None) -> None:
    arguments = dict(call.arguments)
    rows = targets(call, _pop_targets(arguments))
    if arguments:
        raise unknown_parameter(next(iter(arguments)))
    for row in rows:
        if row.values.get(name) != value:
            call.table.set(_unlocked(row), {name: value})
    call.done()


def enable(call: Call) -> None:
    """`enable`: idempotent; fails when a twin was enabled meanwhile."""
    _set_one(call, "disabled", "false")


def disable(call: Call) -> None:
    """`disable`: idempotent."""
    _set_one(call, "disabled", "true")


def comment(call: Call) -> None:
    """`comment`: sets or, empty, removes it."""
    text = call.arguments.pop("comment", "")
    _set_one(call, "comment", text or None)


def unset(call: Call) -> None:
    """`unset`: removes one optional property that the menu lists for it."""
    arguments = dict(call.arguments)
    name = arguments.pop("value-name", None)
    rows = targets(call, _pop_targets(arguments))
    if name is None:
        raise missing("value-name")
    prop = call.table.properties.get(name)
    if prop is None or not prop.unset:
        raise Trap("input does not match any value of value-name", BAD_VALUE)
    for row in rows:
        call.table.set(_unlocked(row), {name: prop.default})
    call.done()


def remove(call: Call) -> None:
    """`remove`: one id after the other; one that is gone ends the command,
    those before it stay removed.
    """
    text = _pop_targets(call.arguments)
    if text is None:
        raise missing(".id")
    for reference in text.split(","):
        row = targets(call, reference)[0]
        if call.table.menu.removable:
            call.table.menu.removable(call.router, row)
        if row.values.get("default") == "true":
            raise Trap("failure: can not remove default item")
        call.table.remove(_unlocked(row))
    call.done()


def move(call: Call) -> None:
    """`move`: before the destination; without one, or with an unknown one, to
    the end of the whole table.
    """
    arguments = dict(call.arguments)
    text = _pop_targets(arguments)
    if text is None:
        raise missing(".id")
    table = call.table
    rows = [_loosely(table, reference) for reference in text.split(",")]
    present = [row for row in rows if row is not None]
    if len(present) < len(rows):
        raise no_such_item(old=call.router.options.old_no_such_item)
    before = _loosely(table, arguments.get("destination", ""))
    if before is not None and any(row is before for row in present):
        raise Trap("failure: can not move object before itself")
    table.move(present, before)
    call.done()


def _loosely(table: Table, reference: str) -> Row | None:
    """Return an item as `move` takes it: by id, name, comment or bare
    position, the first that matches.
    """
    row = table.find(reference)
    if row is not None or not reference:
        return row
    rows = list(table.rows.values())
    for row in rows:
        if row.values.get("comment") == reference:
            return row
    if (
        reference.isascii()
        and reference.isdigit()
        and int(reference) < len(rows)
    ):
        return rows[int(reference)]
    return None


HANDLERS: dict[str, Callable[[Call], None]] = {
    "add": add,
    "set": change,
    "unset": unset,
    "remove": remove,
    "enable": enable,
    "disable": disable,
    "comment": comment,
    "move": move,
}

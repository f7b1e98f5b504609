"""The menus as a script sees them: paths, commands, typed properties. Every
change goes the way of an API command.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

from simulator import values as kinds
from simulator.actions import ACTIONS
from simulator.commands import Call, CommandRouter
from simulator.errors import Trap, no_such_item
from simulator.printing import View
from simulator.rights import Rights
from simulator.row import Row
from simulator.script.builtins import BUILTINS
from simulator.script.values import (
    NIL,
    Array,
    Id,
    Ip,
    Nil,
    Prefix,
    ScriptError,
    Value,
    literal,
    to_ip,
    to_str,
    to_time,
    type_name,
)
from simulator.values import Kind

Execute = Callable[[Call], None]

_ROW_VERBS = {
    "remove": set[str](),
    "enable": set[str](),
    "disable": set[str](),
    "comment": {"comment"},
    "move": {"destination"},
    "unset": {"value-name"},
    "get": {"number", "value-name"},
}


@dataclass
class Column:
    """A property of one row: its kind, and its text, None where the row has
    it not.
    """

    kind: Kind
    text: str | None

    def value(self) -> Value:
        """Return the property as a script gets it."""
        return typed(self.kind, self.text)

    def normal(self, text: str, view: View, name: str) -> str:
        """Return how a text would be kept; unchanged when it would not."""
        try:
            stored = self.kind.parse(name, text, view.call.router.tables)
        except Trap:
            return text
        if isinstance(self.kind, kinds.Reference):
            return self.kind.show(stored, view.call.router.tables)
        return stored


def typed(kind: Kind, text: str | None) -> Value:
    """Return a property's text as a value of a script."""
    if text is None:
        return NIL
    if isinstance(kind, kinds.Bool):
        return text == "true"
    if isinstance(kind, kinds.Int):
        return int(text) if text.lstrip("-").isdigit() else text
    if isinstance(kind, kinds.Offset):
        return kind.seconds(text)
    if isinstance(kind, kinds.Duration):
        span = to_time(text)
        return text if isinstance(span, Nil) else span
    if isinstance(kind, kinds.WordSet):
        return Array(list(text.split(",")) if text else [])
    if isinstance(kind, kinds.Address | kinds.AddressRange):
        address = to_ip(text)
        value = literal(text) if isinstance(address, Nil) else address
        return value if isinstance(value, Ip | Prefix) else text
    return text


class Console:
    """What a script may name in the menus of a router (`parser.Menus`), and
    how it is done, with the rights of the script.
    """

    def __init__(
        self, router: CommandRouter, execute: Execute, rights: Rights
    ) -> None:
        self.router = router
        self.rights = rights
        self._execute = execute
        self._prefixes = {
            "/".join(names[: end + 1])
            for path in router.tables
            for names in [path.split("/")]
            for end in range(1, len(names))
        }

    def as_other(self, rights: Rights) -> Console:
        """Return the same menus for a script with other rights."""
        return Console(self.router, self._execute, rights)

    # --- for the parser

    def is_menu(self, path: str) -> bool:
        """Return whether this is a menu or the way to one."""
        return path in self._prefixes

    def has_verb(self, path: str, verb: str) -> bool:
        """Return whether the menu has this command."""
        if f"{path}/{verb}" in ACTIONS:
            return path not in self.router.absent
        table = self.router.tables.get(path)
        if table is None:
            return False
        if verb == "find":
            return not table.menu.singleton
        return verb in {"get", "print"} or verb in table.menu.verbs

    def columns(self, path: str) -> Set[str]:
        """Return the properties that rows of this menu may have."""
        return self.router.tables[path].properties.keys() | {".id"}

    def parameters(self, path: str, verb: str) -> Set[str] | None:
        """Return the named arguments of a command; None for any."""
        if path == "/log":
            return {"message"}
        table = self.router.tables.get(path)
        if f"{path}/{verb}" in ACTIONS or table is None:
            return None
        if verb in _ROW_VERBS:
            return _ROW_VERBS[verb] | {"numbers"}
        writable = {p.name for p in table.menu.properties if p.writable}
        if verb == "add":
            ordered = {"place-before"} if table.menu.ordered else set()
            return writable | {"copy-from"} | ordered
        return writable if table.menu.singleton else writable | {"numbers"}

    def has_builtin(self, name: str) -> bool:
        """Return whether this version has the global command."""
        return self.router.version >= BUILTINS[name].since

    # --- for the interpreter

    def call(self, path: str, verb: str, arguments: dict[str, str]) -> str:
        """Run a command as the API would; return its `=ret=`. Raises Trap."""
        call = Call(self.router, self.rights, path, verb, arguments, [])
        self._execute(call)
        if call.stop is not None:
            call.stop()
            raise ScriptError(f"{path}/{verb} is not for scripts here")
        return call.ret or ""

    def view(self, path: str) -> View:
        """Return how the script sees a table. Raises Trap without `read`."""
        self.rights.need("read")
        return View(Call(self.router, self.rights, path, "print", {}, []))

    def column(self, view: View, row: Row, name: str) -> Column:
        """Return a property of a row."""
        if name == ".id":
            return Column(Kind(), row.id)
        return Column(view.table.properties[name].kind, view.value(row, name))

    def row(self, path: str, target: Value) -> Row:
        """Return the one row of a reference; of a singleton without one.
        Raises Trap when there is none, or more than one.
        """
        table = self.router.tables[path]
        if table.menu.singleton:
            return next(iter(table.rows.values()))
        names = references(target)
        row = table.find(names[0]) if len(names) == 1 else None
        if row is None:
            raise no_such_item(old=self.router.options.old_no_such_item)
        return row

    def get(self, path: str, row: Row, name: str | None) -> Value:
        """Return a property of a row, all of them as an array without a name.
        Raises ScriptError for one that is none.
        """
        view = self.view(path)
        if name is None:
            known = view.table.properties
            shown = {n: self.column(view, row, n).value() for n in known}
            return Array(
                named={
                    n: value
                    for n, value in ({".id": Id(row.id)} | shown).items()
                    if not isinstance(value, Nil)
                }
            )
        if name == ".id":
            return Id(row.id)
        if name not in view.table.properties:
            raise ScriptError("input does not match any value of value-name")
        return self.column(view, row, name).value()


def references(target: Value) -> list[str]:
    """Return the ids or names that a value stands for. Raises ScriptError for
    one that stands for none.
    """
    if isinstance(target, Id):
        return [target.text]
    if isinstance(target, str):
        return target.split(",")
    if isinstance(target, Array):
        return [name for item in target.items for name in references(item)]
    if isinstance(target, Nil):
        raise ScriptError("no such item")
    # Numbers stand for rows that a print has shown, which no script sees.
    raise ScriptError(f"no such item: {type_name(target)} {to_str(target)}")


def argument(value: Value) -> str:
    """Return a value as an argument of a command."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Array):
        return ",".join(argument(item) for item in value.items)
    return to_str(value)

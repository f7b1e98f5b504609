"""A router's console in memory: runs scripts that `console.py` has read, on tables that a test fills.

It knows the menus, arguments and refusals that `reference` documents of MikroTik's describe and that our
scripts need, and refuses all others. A line that fails is noted and the next one runs, as on a console into
which somebody pastes.
"""

from __future__ import annotations

import re
from typing import Any

from support.console import (
    Block,
    Command,
    Expression,
    Text,
    Value,
    Variable,
    parse,
)

ARGUMENTS = {
    "/interface/wireguard": "name mtu listen-port comment disabled",
    "/interface/wireguard/peers": "interface public-key allowed-address endpoint-address endpoint-port "
    "persistent-keepalive comment disabled",
    "/ip/address": "address network interface comment disabled",
    "/ipv6/address": "address interface advertise comment disabled",
    "/ip/route": "dst-address gateway comment disabled",
    "/ipv6/route": "dst-address gateway comment disabled",
    "/ip/firewall/filter": "chain action in-interface src-address protocol dst-port comment disabled "
    "place-before",
    "/ipv6/firewall/filter": "chain action in-interface src-address protocol dst-port comment disabled "
    "place-before",
    "/ip/hotspot/ip-binding": "mac-address address server type comment disabled place-before",
    "/ip/firewall/address-list": "list address comment disabled",
    "/ip/hotspot/user": "name password profile server comment disabled",
    "/ip/hotspot/host": "",
    "/ip/hotspot/active": "",
    "/ip/hotspot/cookie": "",
    "/ip/firewall/connection": "",
    "/ip/hotspot": "name interface disabled",
    "/ip/service": "address port disabled",
    "/system/script": "name source policy comment",
    "/system/scheduler": "name interval start-time policy on-event comment disabled",
}
Row = dict[str, Any]


class RefusedError(Exception):
    """The router's own word on a command."""


class ConsoleRouter:
    """Tables by menu; `printed` and `failed` are what a person would see."""

    def __init__(self, last_id: int = 0) -> None:
        """`last_id` is the highest id that a test is going to use itself."""
        self.tables: dict[str, list[Row]] = {menu: [] for menu in ARGUMENTS}
        self.printed: list[str] = []
        self.failed: list[str] = []
        self._ids = last_id
        for name, port in (("api", "8728"), ("api-ssl", "8729")):
            self.put(
                "/ip/service", name=name, port=port, disabled="no", address=""
            )

    def put(self, menu: str, **row: str) -> Row:
        """Put an entry there by hand; `_` in a name stands for `-`."""
        self._ids += 1
        made = {
            ".id": f"*{self._ids:X}",
            "dynamic": "no",
            **{k.replace("_", "-"): v for k, v in row.items()},
        }
        self.tables[menu].append(made)
        return made

    def plain(self) -> dict[str, list[Row]]:
        """A copy of all tables, for comparison."""
        return {
            menu: [dict(row) for row in rows]
            for menu, rows in self.tables.items()
        }

    def paste(self, lines: list[str]) -> None:
        for line in lines:
            try:
                for command in parse(line):
                    self._run(command, {})
            except RefusedError as error:
                self.failed.append(f"{error}: {line}")

    def _run(self, command: Command, variables: dict[str, Any]) -> Any:
        name = command.name
        if name == "{}":
            return self._block(command.unnamed()[0], dict(variables))
        if name.startswith("/"):
            menu, _, verb = name.rpartition("/")
            return self._verb(menu, verb, command, variables)
        if name == ":local":
            target, value = command.unnamed()
            assert isinstance(target, Text)
            variables[target.value] = self._value(value, variables)
            return None
        if name == ":if":
            condition = self._value(command.unnamed()[0], variables)
            assert condition in (True, False, "yes", "no"), condition
            chosen = command.named().get(
                "do" if condition in (True, "yes") else "else"
            )
            return self._block(chosen, variables) if chosen else None
        if name == ":do":
            return self._try(command, variables)
        if name == ":foreach":
            variable = command.unnamed()[0]
            assert isinstance(variable, Text)
            for one in self._value(command.named()["in"], variables):
                self._block(
                    command.named()["do"], {**variables, variable.value: one}
                )
            return None
        values = [self._value(value, variables) for value in command.unnamed()]
        return self._function(name, values)

    def _try(self, command: Command, variables: dict[str, Any]) -> None:
        try:
            self._block(command.unnamed()[0], variables)
        except RefusedError:
            self._block(command.named()["on-error"], variables)

    def _function(self, name: str, values: list[Any]) -> Any:
        if name in (":put", ":log"):
            return self.printed.append(values[-1])
        if name == ":len":
            return str(len(values[0]))
        if name == ":pick":
            return (
                values[0][int(values[1])]
                if int(values[1]) < len(values[0])
                else None
            )
        if name == ":tostr":
            return (
                ";".join(values[0])
                if isinstance(values[0], list)
                else values[0]
            )
        if name == ":typeof":
            return (
                "nothing"
                if values[0] is None
                else "time"
                if re.fullmatch(r"(\d+[smhdw])+", values[0])
                else "str"
            )
        raise RefusedError(f"bad command name {name}")

    def _block(self, block: Value, variables: dict[str, Any]) -> None:
        assert isinstance(block, Block)
        for command in block.commands:
            self._run(command, variables)

    def _value(self, value: Value, variables: dict[str, Any]) -> Any:
        if isinstance(value, Text):
            return value.value
        if isinstance(value, Variable):
            return variables[value.name]
        if isinstance(value, Command):
            return self._run(value, variables)
        assert isinstance(value, Expression)
        return self._expression(list(value.parts), variables)

    def _expression(self, parts: list[Any], variables: dict[str, Any]) -> Any:
        for operator in ("||", "=", "!=", ">", "~", ".", ","):
            if operator in parts:
                at = parts.index(operator)
                left = self._expression(parts[:at], variables)
                right = self._expression(parts[at + 1 :], variables)
                return _operate(operator, left, right)
        if parts[0] == "!":
            return not self._expression(parts[1:], variables)
        assert len(parts) == 1, parts
        return self._value(parts[0], variables)

    def _verb(
        self, menu: str, verb: str, command: Command, variables: dict[str, Any]
    ) -> Any:
        if menu not in self.tables:
            raise RefusedError(f"bad command name {menu}")
        named = {
            name: self._value(value, variables)
            for name, value in command.named().items()
        }
        unnamed = command.unnamed()
        if verb == "find":
            assert unnamed == [Text("where")]
            rows = self.tables[menu]
            return [
                row[".id"]
                for row in rows
                if all(row.get(key) == value for key, value in named.items())
            ]
        if verb == "get":
            what = unnamed[1]
            assert isinstance(what, Text)
            return self._rows(menu, self._value(unnamed[0], variables))[0].get(
                what.value
            )
        if verb == "move":
            return self._move(
                menu,
                self._value(unnamed[0], variables),
                named.get("destination"),
            )
        if verb == "remove":
            gone = self._rows(menu, self._value(unnamed[0], variables))
            self.tables[menu] = [
                row for row in self.tables[menu] if row not in gone
            ]
            return None
        known = {name: _flat(value) for name, value in named.items()}
        if unknown := set(known) - set(ARGUMENTS[menu].split()):
            raise RefusedError(f"unknown parameter {unknown}")
        self._check(menu, known)
        if verb == "add":
            return self._add(menu, known)
        assert verb == "set", verb
        for row in self._rows(menu, self._value(unnamed[0], variables)):
            if menu == "/interface/wireguard" and "name" in known:
                self._rename(row["name"], known["name"])
            row.update(known)
            for word in unnamed[1:]:
                assert isinstance(word, Text)
                assert word.value[0] == "!", word
                row.pop(word.value[1:], None)
        return None

    def _rename(self, before: str, after: str) -> None:
        """What refers to an interface follows its name."""
        for rows in self.tables.values():
            for row in rows:
                for name in ("interface", "in-interface", "gateway"):
                    if row.get(name) == before:
                        row[name] = after

    def _check(self, menu: str, values: Row) -> None:
        interfaces = [
            *(row["name"] for row in self.tables["/interface/wireguard"]),
            *(row["interface"] for row in self.tables["/ip/hotspot"]),
        ]
        for name in ("interface", "in-interface", "gateway"):
            if name in values and values[name] not in interfaces:
                raise RefusedError(f"input does not match any value of {name}")
        for row in self.tables[menu]:
            other = row.get("interface") != values.get("interface")
            if (
                menu.endswith("/peers")
                and row["public-key"] == values.get("public-key")
                and other
            ):
                raise RefusedError("failure: entry already exists")

    def _add(self, menu: str, values: Row) -> None:
        before = values.pop("place-before", None)
        row = self.put(menu)
        row.update(values)
        if before is not None:
            self._move(menu, row[".id"], before)
        if menu == "/interface/wireguard":
            row["public-key"] = f"made-on-router-{row['.id']}"

    def _rows(self, menu: str, ids: Any) -> list[Row]:
        wanted = ids if isinstance(ids, list) else [ids]
        if not all(isinstance(one, str) for one in wanted):
            raise RefusedError("no such item")
        return [row for row in self.tables[menu] if row[".id"] in wanted]

    def _move(self, menu: str, ids: Any, place: Any) -> None:
        moved = self._rows(menu, ids)
        if place is None:
            rest = [row for row in self.tables[menu] if row not in moved]
            self.tables[menu] = [*rest, *moved]
            return
        destination = place[0] if isinstance(place, list) else place
        if any(row[".id"] == destination for row in moved):
            raise RefusedError("failure: can not move object before itself")
        rest = [row for row in self.tables[menu] if row not in moved]
        at = next(
            index
            for index, row in enumerate(rest)
            if row[".id"] == destination
        )
        if rest[at]["dynamic"] == "yes":
            raise RefusedError("failure: can not move before a dynamic item")
        self.tables[menu] = [*rest[:at], *moved, *rest[at:]]


def _operate(operator: str, left: Any, right: Any) -> Any:
    if operator == "||":
        return left or right
    if operator == "=":
        return left == right
    if operator == "!=":
        return left != right
    if operator == ">":
        return _seconds(left) > _seconds(right)
    if operator == "~":
        return re.search(right, left) is not None
    if operator == ".":
        return left + right
    return [*(left if isinstance(left, list) else [left]), right]


def _seconds(text: str | None) -> int:
    """A duration such as 1h2m3s; nothing is compared as nothing, that is 0."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    return sum(
        int(number) * units[unit]
        for number, unit in re.findall(r"(\d+)([smhdw])", text or "")
    )


def _flat(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else value

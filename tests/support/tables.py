"""A router's rows as values, and what commands of a plan make of them: enough to apply one and plan again.

No I/O and no simulator: the rules of uniqueness are those of the reference, the hotspot is left out but for one thing,
that a removed host is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cerebro.routeros.access.tables import Actual
from cerebro.routeros.access.user_model import ActualUsers
from cerebro.routeros.client.command import Command

Rows = list[dict[str, str]]

MENUS = {
    "/ip/hotspot/ip-binding": "bindings",
    "/ip/firewall/address-list": "lists",
    "/ip/hotspot/host": "hosts",
    "/ip/hotspot/active": "active",
    "/ip/hotspot/cookie": "cookies",
    "/ip/firewall/connection": "connections",
    "/ip/hotspot/user": "users",
}


class RefusedError(Exception):
    """The router would refuse this command."""


@dataclass
class Tables:
    """The seven menus of access; each counts its own ids, so rows of two menus may have the same."""

    bindings: Rows = field(default_factory=list)
    lists: Rows = field(default_factory=list)
    hosts: Rows = field(default_factory=list)
    active: Rows = field(default_factory=list)
    cookies: Rows = field(default_factory=list)
    connections: Rows = field(default_factory=list)
    users: Rows = field(default_factory=list)
    last_ids: dict[str, int] = field(default_factory=dict)

    def put(self, menu: str, **values: str) -> dict[str, str]:
        """Add a row; `mac_address` is written for `mac-address`."""
        row = {
            ".id": self._next_id(menu),
            **{
                name.replace("_", "-"): value for name, value in values.items()
            },
        }
        getattr(self, menu).append(row)
        return row

    def actual_users(self) -> ActualUsers:
        """Read everything about users."""
        return ActualUsers(
            users=_copied(self.users),
            active=_copied(self.active),
            cookies=_copied(self.cookies),
            hosts=_copied(self.hosts),
            connections=_copied(self.connections),
        )

    def actual(self) -> Actual:
        """Read everything."""
        return Actual(
            bindings=_copied(self.bindings),
            lists=_copied(self.lists),
            hosts=_copied(self.hosts),
            active=_copied(self.active),
            cookies=_copied(self.cookies),
            connections=_copied(self.connections),
        )

    def apply(self, commands: Iterable[Command]) -> None:
        """Run commands as a router would; raises RefusedError for a duplicate or an unknown id."""
        for command in commands:
            rows: Rows = getattr(self, MENUS[command.path])
            getattr(self, f"_{command.verb}")(command, rows)

    def _add(self, command: Command, rows: Rows) -> None:
        values = dict(command.attributes)
        before = values.pop("place-before", None)
        self._check(command.path, values, rows)
        row = {".id": self._next_id(MENUS[command.path]), **values}
        rows.insert(self._index(rows, before) if before else len(rows), row)

    def _next_id(self, menu: str) -> str:
        self.last_ids[menu] = self.last_ids.get(menu, 0) + 1
        return f"*{self.last_ids[menu]:X}"

    def _set(self, command: Command, rows: Rows) -> None:
        values = dict(command.attributes)
        row = rows[self._index(rows, values.pop(".id"))]
        for name, value in values.items():
            if name.startswith("!"):
                row.pop(name[1:], None)
            else:
                row[name] = value
        self._check(
            command.path, row, [other for other in rows if other is not row]
        )

    def _remove(self, command: Command, rows: Rows) -> None:
        del rows[self._index(rows, command.attributes[".id"])]

    def _move(self, command: Command, rows: Rows) -> None:
        row = rows.pop(self._index(rows, command.attributes["numbers"]))
        rows.insert(self._index(rows, command.attributes["destination"]), row)

    def _index(self, rows: Rows, row_id: str) -> int:
        for number, row in enumerate(rows):
            if row[".id"] == row_id:
                return number
        raise RefusedError(f"no such item {row_id}")

    def _check(self, path: str, values: dict[str, str], rows: Rows) -> None:
        for row in rows:
            if path == "/ip/firewall/address-list":
                same = all(
                    row.get(name) == values.get(name)
                    for name in ("list", "address")
                )
            elif path == "/ip/hotspot/user":
                if row.get("name") == values.get("name"):
                    raise RefusedError(
                        "failure: already have user with this name for this server"
                    )
                continue
            else:
                mac, address = values.get("mac-address"), values.get("address")
                same = (
                    row.get("mac-address") == mac
                    if mac
                    else not row.get("mac-address")
                    and row.get("address") == address
                )
                same = same and row.get("server", "all") == values.get(
                    "server", "all"
                )
            if same and row.get("disabled", "false") == "false":
                raise RefusedError(f"duplicate of {row['.id']}")


def _copied(rows: Rows) -> tuple[dict[str, str], ...]:
    return tuple(dict(row) for row in rows)

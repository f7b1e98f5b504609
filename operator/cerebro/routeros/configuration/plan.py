"""The plan of a router's end of its tunnel: `desired rows, actual rows ->
commands`. Pure.

Only rows are changed that bear our comment or the older relay's, and the
service of the API. Rows that the router makes itself are never touched.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from cerebro.routeros.bootstrap import Tunnel
from cerebro.routeros.client.command import Command
from cerebro.routeros.configuration.desired import (
    WantedRow,
    menus,
    wanted_rows,
)
from cerebro.routeros.configuration.earlier import (
    Tables,
    earlier_interface,
    is_earlier,
    obstacle,
    renamed,
)
from cerebro.routeros.menus.ip import SERVICE
from cerebro.routeros.menus.menu import Menu, Row, is_dynamic, is_true
from cerebro.routeros.menus.wireguard import WIREGUARD


@dataclass(slots=True)
class ConfigurationPlan:
    """Commands in their order, the rows that they name by path and id, and
    what a person has to do.
    """

    commands: list[Command] = field(default_factory=list)
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def do(self, menu: Menu, verb: str, **attributes: str) -> None:
        """Add a command."""
        self.commands.append(Command(menu.path, verb, attributes))

    def name(self, menu: Menu, row: Row) -> str:
        """Note what a row says that a command names, and return its id."""
        row_id = row[".id"]
        self.rows.setdefault((menu.path, row_id), row)

        return row_id


def configuration_plan(tunnel: Tunnel, tables: Tables) -> ConfigurationPlan:
    """Return what makes a router's end of the tunnel equal to `tunnel`;
    applied and planned again it gives nothing.

    `tables` has the rows of all `menus(tunnel)`, by path.
    """
    plan = ConfigurationPlan()
    before = earlier_interface(tunnel, tables)
    trouble = obstacle(tunnel, tables, before)
    if trouble is not None:
        plan.notes.append(trouble)
        return plan

    wanted = wanted_rows(tunnel)

    for menu in menus(tunnel):
        rows = [row for row in tables[menu.path] if not is_dynamic(row)]
        ours = [row for row in rows if _is_ours(menu, row, tunnel, before)]
        read = [renamed(row, before, tunnel.interface) for row in rows]
        left = [renamed(row, before, tunnel.interface) for row in ours]

        for each in wanted:
            if each.menu.path == menu.path:
                _ensure(plan, each, read, left)

        for row in left:
            row_id = plan.name(menu, row)
            plan.do(menu, "remove", **{".id": row_id})

    _limit_service(plan, tunnel, tables[SERVICE.path])

    return plan


def _is_ours(menu: Menu, row: Row, tunnel: Tunnel, before: str | None) -> bool:
    """Return whether a row is the tunnel's: by its comment, the interface by
    its name.
    """
    if menu.path == WIREGUARD.path:
        return row.get("name") == (before or tunnel.interface)

    return row.get("comment") == tunnel.marker or is_earlier(row, before)


def _ensure(
    plan: ConfigurationPlan,
    wanted: WantedRow,
    rows: list[Row],
    left: list[Row],
) -> None:
    """Plan one row. `left` are the rows of ours that nothing was planned for
    yet: the one that is taken leaves the list.
    """
    menu, values = wanted.menu, wanted.values
    row = _taken(wanted, left)
    first = _first_of_chain(wanted, rows)

    if row is None:
        added = {
            name: value for name, value in values.items() if name != "disabled"
        }
        if first is not None:
            added["place-before"] = plan.name(menu, first)

        plan.do(menu, "add", **added)
        return

    left.remove(row)
    row_id = plan.name(menu, row)
    differences = menu.differences(values, row)
    if differences:
        plan.do(menu, "set", **{".id": row_id, **differences})

    if first is not None and first[".id"] != row_id:
        before = plan.name(menu, first)
        plan.do(menu, "move", numbers=row_id, destination=before)


def _taken(wanted: WantedRow, left: list[Row]) -> Row | None:
    """Return the row of ours that is to become the wanted one."""
    if wanted.menu.path == WIREGUARD.path:
        return next(iter(left), None)

    for row in left:
        if all(
            wanted.menu.normal(row, name)
            == wanted.menu.normal(wanted.values, name)
            for name in wanted.key
        ):
            return row

    return None


def _first_of_chain(wanted: WantedRow, rows: list[Row]) -> Row | None:
    """Return the row before which the wanted one stands, or itself; None where
    the order says nothing.
    """
    if not wanted.before_chain:
        return None

    chain = wanted.values["chain"]

    return next((row for row in rows if row.get("chain") == chain), None)


def _limit_service(
    plan: ConfigurationPlan, tunnel: Tunnel, rows: Sequence[Row]
) -> None:
    """Plan the service of the API: on, and for the Hub's address. Whom a
    person has listed stays listed.
    """
    static = (row for row in rows if not is_dynamic(row))
    row = next((row for row in static if row["name"] == tunnel.service), None)
    if row is None:
        plan.notes.append(f"the router has no service {tunnel.service}")
        return

    changes = {}
    admitted = [part for part in _parts(row.get("address", "")) if part]

    if not any(_admits(part, tunnel) for part in admitted):
        host = f"{tunnel.hub_address.ip}/{tunnel.hub_address.max_prefixlen}"
        changes["address"] = ",".join([*admitted, host])

    if is_true(row, "disabled"):
        changes["disabled"] = "false"

    if row.get("port") != str(tunnel.api_port):
        plan.notes.append(
            f"the service {tunnel.service} listens on port {row.get('port')}, "
            f"and spec.api.port says {tunnel.api_port}: change one of them"
        )

    if changes:
        row_id = plan.name(SERVICE, row)
        plan.do(SERVICE, "set", **{".id": row_id, **changes})


def _parts(text: str) -> list[str]:
    return text.replace(";", ",").split(",")


def _admits(part: str, tunnel: Tunnel) -> bool:
    """Return whether a listed prefix has the Hub's address."""
    try:
        return tunnel.hub_address.ip in ipaddress.ip_network(
            part, strict=False
        )
    except ValueError:
        return False

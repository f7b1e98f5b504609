"""The plan of a router's configuration: `desired rows, actual rows -> steps`.
Pure.

Only rows are changed that bear a comment of ours or the older relay's, and the
service of the API. Rows that the router makes itself are never touched.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from cerebro.routeros.bootstrap import Tunnel
from cerebro.routeros.client.command import Command
from cerebro.routeros.configuration.desired import (
    Configuration,
    Part,
    WantedRow,
    tunnel_part,
)
from cerebro.routeros.configuration.earlier import (
    Tables,
    earlier_interface,
    is_earlier,
    obstacle,
    renamed,
)
from cerebro.routeros.configuration.steps import ConfigurationPlan, Step
from cerebro.routeros.menus.ip import SERVICE
from cerebro.routeros.menus.menu import Menu, Row, is_dynamic, is_true
from cerebro.routeros.menus.wireguard import WIREGUARD


def configuration_plan(
    configuration: Configuration, tables: Tables
) -> ConfigurationPlan:
    """Return what makes a router's configuration as wanted; applied and
    planned again it gives nothing.

    `tables` has the rows of `configuration.menus`, by path; a menu that the
    router lacks is not there.
    """
    plan = ConfigurationPlan()
    if configuration.tunnel is not None:
        _plan_tunnel(plan, configuration.tunnel, tables)
    elif configuration.missing:
        plan.notes.append(configuration.missing)

    for part in configuration.further:
        for menu in part.menus:
            rows = _static(tables.get(menu.path, ()))
            ours = [row for row in rows if row.get("comment") == part.comment]

            _plan_menu(plan, part, menu, rows, ours)

    return plan


def _plan_tunnel(
    plan: ConfigurationPlan, tunnel: Tunnel, tables: Tables
) -> None:
    """Plan the router's end of the tunnel. The older relay's is taken over,
    under our names; where somebody else's is in the way, nothing is done.
    """
    before = earlier_interface(tunnel, tables)
    trouble = obstacle(tunnel, tables, before)
    if trouble is not None:
        plan.notes.append(trouble)
        return

    part = tunnel_part(tunnel)

    for menu in part.menus:
        rows = _static(tables.get(menu.path, ()))
        ours = [row for row in rows if _is_tunnels(menu, row, tunnel, before)]
        read = [renamed(row, before, tunnel.interface) for row in rows]
        left = [renamed(row, before, tunnel.interface) for row in ours]

        _plan_menu(plan, part, menu, read, left)

    _limit_service(plan, tunnel, tables.get(SERVICE.path, ()))


def _static(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not is_dynamic(row)]


def _is_tunnels(
    menu: Menu, row: Row, tunnel: Tunnel, before: str | None
) -> bool:
    """Return whether a row is the tunnel's: by its comment, the interface by
    its name.
    """
    if menu.path == WIREGUARD.path:
        return row.get("name") == (before or tunnel.interface)

    return row.get("comment") == tunnel.marker or is_earlier(row, before)


def _plan_menu(
    plan: ConfigurationPlan,
    part: Part,
    menu: Menu,
    rows: list[Row],
    ours: list[Row],
) -> None:
    """Plan the rows of a part in one menu. Those of `ours` that nothing needs
    are left over.
    """
    left = list(ours)

    for wanted in part.rows:
        if wanted.menu.path == menu.path:
            _ensure(plan, part, wanted, rows, left)

    for row in left:
        row_id = plan.name(menu, row)
        command = Command(menu.path, "remove", {".id": row_id})
        plan.leftovers.append(Step(menu, command, part.risky, row))


def _ensure(
    plan: ConfigurationPlan,
    part: Part,
    wanted: WantedRow,
    rows: list[Row],
    left: list[Row],
) -> None:
    """Plan one row. `left` are the rows of ours that nothing was planned for
    yet: the one that is taken leaves the list.
    """
    row = _taken(wanted, left)
    first = _first_of_chain(part, wanted, rows)

    if row is None:
        plan.steps.append(_adding(plan, part, wanted, first))
        return

    left.remove(row)
    menu, row_id = wanted.menu, plan.name(wanted.menu, row)
    differences = menu.differences(wanted.values, row)
    if differences:
        command = Command(menu.path, "set", {".id": row_id, **differences})
        plan.steps.append(Step(menu, command, part.risky, row))

    if first is not None and _stands_behind(row, first, rows):
        place = {"numbers": row_id, "destination": plan.name(menu, first)}
        command = Command(menu.path, "move", place)
        behind = _row_behind(row, rows)
        plan.steps.append(
            Step(menu, command, part.risky, row, row_behind=behind)
        )


def _adding(
    plan: ConfigurationPlan, part: Part, wanted: WantedRow, first: Row | None
) -> Step:
    """Return the step that adds a row; `first` is the row to put it before."""
    menu, values = wanted.menu, wanted.values
    added = {
        name: value for name, value in values.items() if name != "disabled"
    }

    if first is not None:
        added["place-before"] = plan.name(menu, first)

    names = wanted.key
    if menu.path != WIREGUARD.path:
        names = (*names, "comment")

    return Step(
        menu,
        Command(menu.path, "add", added),
        part.risky,
        added_as={name: values[name] for name in names},
    )


def _taken(wanted: WantedRow, left: list[Row]) -> Row | None:
    """Return the row of ours that is to become the wanted one: of several that
    which differs least.
    """
    menu, values = wanted.menu, wanted.values
    if menu.path == WIREGUARD.path:
        return next(iter(left), None)

    candidates = [
        row
        for row in left
        if all(
            menu.normal(row, name) == menu.normal(values, name)
            for name in wanted.key
        )
    ]

    return min(
        candidates,
        key=lambda row: len(menu.differences(values, row)),
        default=None,
    )


def _first_of_chain(
    part: Part, wanted: WantedRow, rows: list[Row]
) -> Row | None:
    """Return the row before which the wanted one stands; None where the order
    says nothing.

    Rows of one part stand before all others of the chain, and among themselves
    as they come.
    """
    if not wanted.before_chain:
        return None

    return next(
        (
            row
            for row in rows
            if row.get("chain") == wanted.values["chain"]
            and row.get("comment") != part.comment
        ),
        None,
    )


def _stands_behind(row: Row, first: Row, rows: list[Row]) -> bool:
    ids = [each[".id"] for each in rows]

    return ids.index(row[".id"]) > ids.index(first[".id"])


def _row_behind(row: Row, rows: list[Row]) -> str | None:
    """Return the id of the row that stands behind another one."""
    ids = [each[".id"] for each in rows]
    behind = ids[ids.index(row[".id"]) + 1 :]

    return behind[0] if behind else None


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
        command = Command(SERVICE.path, "set", {".id": row_id, **changes})
        plan.steps.append(Step(SERVICE, command, risky=True, row=row))


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

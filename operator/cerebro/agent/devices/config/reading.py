"""The rows of a router that its configuration is planned by: what to ask, and
what the answers say. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap, TrapKind
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.configuration.earlier import Tables
from cerebro.routeros.menus.menu import Menu, Row
from cerebro.routeros.menus.system import SCHEDULER, SCRIPT


def configuration_prints(configuration: Configuration) -> list[Command]:
    """Return the commands that read what the plan needs."""
    prints = []

    for menu in configuration.menus:
        proplist = {".proplist": ",".join(menu.proplist)}
        queries = _queries(configuration, menu)
        prints.append(Command(menu.path, "print", proplist, queries))

    return prints


def _queries(configuration: Configuration, menu: Menu) -> tuple[str, ...]:
    """Return which rows of a menu to ask for; none: all.

    Of routes, most are the router's own; a flag that is off may be left out,
    so what is asked is that it is not on. Scripts of others may be large, also
    those of schedulers.
    """
    if menu.path.endswith("/route"):
        return ("?dynamic=true", "?#!")

    if menu.path not in (SCRIPT.path, SCHEDULER.path):
        return ()

    comments = [
        part.comment for part in configuration.parts if menu in part.menus
    ]
    either = "|" * (len(comments) - 1)

    return (
        *(f"?comment={comment}" for comment in comments),
        *((f"?#{either}",) if either else ()),
    )


def tables_of(
    configuration: Configuration, replies: Sequence[Reply | Trap]
) -> Tables | str:
    """Return the rows by the path of their menu, from the replies to
    `configuration_prints`; or what the router did not print, as text.

    A menu that the router lacks counts as empty where nothing of ours is to
    be in it.
    """
    tables: dict[str, Sequence[Row]] = {}
    needed = {
        wanted.menu.path
        for part in configuration.parts
        for wanted in part.rows
    }

    for menu, reply in zip(configuration.menus, replies, strict=True):
        if isinstance(reply, Reply):
            tables[menu.path] = reply.rows
        elif reply.kind is not TrapKind.NO_COMMAND or menu.path in needed:
            return f"the router did not print {menu.path}: {reply}"

    return tables

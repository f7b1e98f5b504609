"""Reads the hotspot users of a router, and who is logged in as users that go.

A menu that cannot be read is named with the reason (rule B0). Each read is
given up when a client comes to wait for something newer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cerebro.agent.devices.urgency import unless_urgent
from cerebro.routeros.access.read import connections_print
from cerebro.routeros.access.user_model import ActualUsers
from cerebro.routeros.access.user_prints import (
    hosts_print,
    logins_prints,
    users_print,
)
from cerebro.routeros.client.command import Command
from cerebro.routeros.client.errors import DeadlineExceeded, Trap
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST
from cerebro.routeros.menus.menu import Row

T = TypeVar("T")

_LOOK_FOR_URGENT = 0.05
"""Seconds between two looks, while something is read, whether a client waits
for something newer.
"""


class UsersUnread(Exception):
    """The router did not print its users; the text says why."""


class UsersGaveWay(Exception):
    """The pass ended before its time, as a client waits."""


@dataclass(frozen=True, slots=True)
class UsersReader:
    """A connection to a router, and whether a client waits for something
    newer.
    """

    session: RouterSession
    urgent: Callable[[], bool]

    async def unless_urgent(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what some work comes to. Raises UsersGaveWay when a client
        waits.
        """
        result = await unless_urgent(work, self.urgent, every=_LOOK_FOR_URGENT)

        if result is None:
            raise UsersGaveWay

        return result

    async def users(
        self, installation: str, names: Collection[str], *, ours: bool
    ) -> ActualUsers:
        """Read the users of some names; with `ours` also all that bear our
        marker. Raises UsersUnread.
        """
        rows = await self._rows(users_print(installation, names, ours=ours))

        if isinstance(rows, str):
            raise UsersUnread(rows)

        return ActualUsers(tuple(rows))

    async def with_logins(
        self, actual: ActualUsers, names: Collection[str]
    ) -> ActualUsers:
        """Return the rows with the logins and cookies of some users, and with
        the hosts of who is logged in.
        """
        active, cookies = logins_prints(names)

        tables = {
            ACTIVE.path: await self._rows(active),
            COOKIE.path: await self._rows(cookies),
        }

        logins = tables[ACTIVE.path]

        if logins and not isinstance(logins, str):
            tables[HOST.path] = await self._rows(hosts_print(logins))

        rows: dict[str, tuple[Row, ...]] = {}
        unread: dict[str, str] = {}

        for path, table in tables.items():
            if isinstance(table, str):
                unread[path] = table
            else:
                rows[path] = tuple(table)

        return replace(
            actual,
            active=rows.get(ACTIVE.path, ()),
            cookies=rows.get(COOKIE.path, ()),
            hosts=rows.get(HOST.path, ()),
            unread=unread,
        )

    async def with_connections(self, actual: ActualUsers) -> ActualUsers:
        """Return the rows with the tracked connections, or with the reason why
        these could not be read.
        """
        command = connections_print()
        rows = await self._rows(command)

        if isinstance(rows, str):
            unread = {**actual.unread, command.path: rows}

            return replace(actual, unread=unread)

        return replace(actual, connections=tuple(rows))

    async def _rows(self, command: Command) -> list[Row] | str:
        """Return the rows of a print, or why the router gave none."""
        return await self.unless_urgent(self._printed(command))

    async def _printed(self, command: Command) -> list[Row] | str:
        try:
            (reply,) = await self.session.run_all([command])
        except DeadlineExceeded as error:
            return str(error)

        return str(reply) if isinstance(reply, Trap) else list(reply.rows)

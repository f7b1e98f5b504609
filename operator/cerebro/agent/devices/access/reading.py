"""Reads the rows of a router's menus, and runs the commands of a pass over
them.

What it returns is not judged here. A menu that cannot be read is named with
the reason (rule B0); one whose rows changed while the router printed them is
read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.access.read import (
    VOLATILE,
    Scope,
    access_prints,
    actual_from,
    connections_print,
)
from cerebro.routeros.access.tables import Actual
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import DeadlineExceeded, Trap, TrapKind
from cerebro.routeros.client.session import WINDOW, RouterSession

_READ_AGAIN = 3
"""How often a menu is read whose rows came and went while the router printed
it.
"""

_PATIENCE = 1.0
"""Seconds: a write that a client waits for and that brought no byte for this
long goes over a fresh connection (rule B5).
"""


@dataclass(frozen=True, slots=True)
class AccessReader:
    """A connection to a router, and how its access is read.

    `impatient`: a client waits, so commands that bring no byte raise Stalled
    soon.
    """

    session: RouterSession
    policy: AccessPolicy
    impatient: bool = False

    async def rows(self, scope: Scope | None) -> Actual:
        """Read the menus of access. Raises Trap for bindings and list rows;
        the others may stay unread (rule B0).
        """

        prints = access_prints(self.policy, scope)
        replies = await self.run_all(prints)
        tables: list[list[dict[str, str]]] = []
        unread: dict[str, str] = {}

        for command, reply in zip(prints, replies, strict=True):
            if isinstance(reply, Trap) and command.path not in VOLATILE:
                raise reply

            rows = await self._rows_of(command, reply)
            if isinstance(rows, str):
                unread[command.path] = rows
                rows = []

            tables.append(rows)

        return replace(actual_from(tables), unread=unread)

    async def _rows_of(
        self, command: Command, reply: Reply | Trap
    ) -> list[dict[str, str]] | str:
        """Return the rows of a print, or why there are none. What changed
        under the print is read again.
        """
        for _ in range(_READ_AGAIN):
            if not isinstance(reply, Trap):
                return reply.rows

            if reply.kind is not TrapKind.GONE:
                break

            (reply,) = await self.run_all([command])

        return str(reply) if isinstance(reply, Trap) else reply.rows

    async def connections(self) -> list[dict[str, str]] | str:
        """Return the tracked connections, or why they could not be read."""
        command = connections_print()

        try:
            (reply,) = await self.session.run_all([command])
            return await self._rows_of(command, reply)
        except DeadlineExceeded as error:
            return str(error)

    async def run_all(self, commands: Sequence[Command]) -> list[Reply | Trap]:
        """Run commands together; raises RouterError, but returns Traps."""
        if not self.impatient or len(commands) > WINDOW:
            return await self.session.run_all(commands)

        runs = [
            self.session.run(command, first_byte_within=_PATIENCE)
            for command in commands
        ]

        replies = await asyncio.gather(*runs, return_exceptions=True)
        outcomes: list[Reply | Trap] = []
        for reply in replies:
            if isinstance(reply, BaseException) and not isinstance(
                reply, Trap
            ):
                raise reply

            outcomes.append(reply)

        return outcomes

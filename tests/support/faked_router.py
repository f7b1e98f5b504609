"""A router's rows behind the interface that a pass over it uses. No I/O: queries are ignored, all rows come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.client.session import RouterSession
from support.tables import MENUS, Tables


class FakedRouter:
    """Runs commands on `tables`; `before` is told of each batch, and so is what a test makes happen meanwhile."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.written: list[Command] = []
        self.before: Callable[[Sequence[Command]], None] = lambda _commands: (
            None
        )
        self.answers: asyncio.Event | None = None
        """Until when a batch of prints waits; None: it is answered at once."""

    @property
    def session(self) -> RouterSession:
        """It, as what a pass asks for."""
        return cast(RouterSession, self)

    async def run_all(self, commands: Sequence[Command]) -> list[Reply | Trap]:
        self.before(commands)
        if self.answers is not None and all(one.reads for one in commands):
            await self.answers.wait()
        return [self._run(command) for command in commands]

    async def run(
        self, command: Command, *, first_byte_within: float | None = None
    ) -> Reply:
        """Run one command; its answer never keeps anyone waiting."""
        self.before([command])
        return self._run(command)

    def _run(self, command: Command) -> Reply:
        if command.path == "/ip/hotspot":
            return Reply([{"name": "hotspot1"}])
        if command.reads:
            return Reply(
                [
                    dict(row)
                    for row in getattr(
                        self.tables, MENUS.get(command.path, ""), ()
                    )
                ]
            )
        self.written.append(command)
        self.tables.apply([command])
        return Reply([])

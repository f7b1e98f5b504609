"""How many entries of the inbox are carried out side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_SIDE_BY_SIDE = 64


class Slots:
    """MAX_SIDE_BY_SIDE slots; an entry that is carried out has one."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_SIDE_BY_SIDE)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Have a slot while the block runs."""
        await self._free.acquire()
        try:
            yield
        finally:
            self._free.release()

    @asynccontextmanager
    async def given_back(self) -> AsyncIterator[None]:
        """Have no slot while the block runs, within `taken`: it waits for
        something that is slow, and others may work meanwhile.
        """
        self._free.release()
        try:
            yield
        finally:
            await self._free.acquire()

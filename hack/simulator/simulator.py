"""Several routers and, when wanted, the control port, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Self

from aiohttp import web

from simulator.control_server import make_app
from simulator.options import options_from
from simulator.router import Router

TICK = 0.5


class Simulator:
    """Routers by name. `control` is the address and port of the control port,
    None for none.
    """

    def __init__(self, control: tuple[str, int] | None = None) -> None:
        self.routers: dict[str, Router] = {}
        self.control_url = ""
        self._control = control
        self._runner: web.AppRunner | None = None
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the control port; routers are added before or after."""
        self._ticker = asyncio.create_task(self._tick())
        if self._control is None:
            return
        self._runner = web.AppRunner(
            make_app(self), access_log=None, shutdown_timeout=1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, *self._control)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.control_url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop all routers and close the control port."""
        for router in list(self.routers.values()):
            await router.stop()
        self.routers.clear()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def add_router(self, name: str, **options: Any) -> Router:
        """Make and start a router; `options` are the fields of RouterOptions.
        Raises ValueError, OSError.
        """
        if name in self.routers:
            raise ValueError(f"name: there is a router {name!r} already")
        router = Router(options_from({"name": name, **options}))
        await router.start()
        self.routers[name] = router
        return router

    async def remove_router(self, name: str) -> None:
        """Stop and forget a router. Raises KeyError."""
        await self.routers.pop(name).stop()

    async def swap_routers(self, first: str, second: str) -> None:
        """Let two routers change places: each is reached where the other one
        was. Raises KeyError.
        """
        one, two = self.routers[first], self.routers[second]
        await one.stop()
        await two.stop()
        one.port, two.port = two.port, one.port
        await one.start()
        await two.start()

    async def _tick(self) -> None:
        """Let rows expire on routers that nobody talks to, so that listeners
        hear of it.
        """
        while True:
            await asyncio.sleep(TICK)
            for router in self.routers.values():
                router.settle()

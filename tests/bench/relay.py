"""A whole relay of its own for measurements: real API server, our three processes, one simulated router."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from backend.billing import signed_headers
from controlplane.server import ControlPlane
from local.relay import manifests, start
from local.settings import NAMESPACE, Settings, draw
from local.supervisor import Supervisor
from simulator.control import SimulatorControl

AUTHORIZE = "/relay/authorize-by-pedido"
READY_WITHIN = "--timeout=120s"


@dataclass
class Relay:
    """What a measurement acts on."""

    plane: ControlPlane
    settings: Settings
    control: SimulatorControl
    http: httpx.AsyncClient

    @property
    def router(self) -> str:
        """The router's name, which is its Device's too."""
        return self.settings.routers[0].name

    async def authorize(self, order: str, mac: str, ip: str) -> httpx.Response:
        """Send one signed order; the answer comes when the entry is on the router."""
        body = {
            "pedidoId": order,
            "mikId": self.router,
            "deviceToken": order,
            "ipAtual": ip,
            "macAtual": mac,
        }
        raw = json.dumps(body).encode()
        token, secret = (
            self.settings.secrets["RELAY_TOKEN"],
            self.settings.secrets["RELAY_API_SECRET"].encode(),
        )
        return await self.http.post(
            AUTHORIZE,
            content=raw,
            headers=signed_headers("POST", AUTHORIZE, raw, token, secret),
        )

    async def boot_time(self) -> float:
        """Return the router's boot on our monotonic clock, which its log counts from."""
        before = time.monotonic()
        uptime = float((await self.control.router(self.router))["uptime"])
        return (before + time.monotonic()) / 2 - uptime


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Relay]:
    """Start it, and stop all of it at the end."""
    supervisor = Supervisor(folder / "pid", folder / "log")
    settings = draw(1)
    try:
        plane = await asyncio.to_thread(start, supervisor, settings, folder)
        plane.kubectl(
            "apply",
            "--server-side",
            "-f",
            "-",
            stdin=json.dumps(manifests(settings.routers)),
        )
        plane.kubectl(
            "wait",
            "devices",
            "--all",
            "--for=condition=Ready",
            f"--namespace={NAMESPACE}",
            READY_WITHIN,
        )
        async with (
            SimulatorControl(settings.simulator_url) as control,
            httpx.AsyncClient(
                base_url=settings.bridge_url, timeout=10.0
            ) as http,
        ):
            yield Relay(plane, settings, control, http)
    finally:
        await asyncio.to_thread(supervisor.stop)

"""A whole relay of its own for measurements: real API server, our three processes, simulated routers."""

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
from bench.meter import Target
from controlplane.server import ControlPlane
from integration.agent.relay import Object
from local.relay import manifests, start
from local.settings import NAMESPACE, Settings, draw
from local.supervisor import Supervisor
from simulator.control import SimulatorControl

AUTHORIZE = "/relay/authorize-by-pedido"
REVOKE = "/relay/revoke"
READY_WITHIN = "--timeout=120s"
ANSWER_WITHIN = 60.0


@dataclass
class Relay:
    """What a measurement acts on."""

    plane: ControlPlane
    settings: Settings
    control: SimulatorControl
    http: httpx.AsyncClient
    folder: Path

    @property
    def router(self) -> str:
        """The first router's name, which is its Device's too."""
        return self.settings.routers[0].name

    @property
    def agent(self) -> Target:
        """The agent's process as it is now."""
        pid = int((self.folder / "pid" / "agent").read_text())
        return Target(pid, self.settings.agent_health_port)

    async def authorize(
        self, order: str, mac: str, ip: str, router: str | None = None
    ) -> httpx.Response:
        """Send one signed order; the answer comes when the entry is on the router."""
        body = {
            "pedidoId": order,
            "mikId": router or self.router,
            "deviceToken": order,
            "ipAtual": ip,
            "macAtual": mac,
        }
        return await self.post(AUTHORIZE, body)

    async def revoke(self, router: str, mac: str, ip: str) -> httpx.Response:
        """Send one signed revoke of a client."""
        return await self.post(REVOKE, {"mikId": router, "ip": ip, "mac": mac})

    async def post(self, path: str, body: Object) -> httpx.Response:
        """Send one signed call."""
        raw = json.dumps(body).encode()
        token, secret = (
            self.settings.secrets["RELAY_TOKEN"],
            self.settings.secrets["RELAY_API_SECRET"].encode(),
        )
        return await self.http.post(
            path,
            content=raw,
            headers=signed_headers("POST", path, raw, token, secret),
        )

    async def boot_time(self) -> float:
        """Return the router's boot on our monotonic clock, which its log counts from."""
        before = time.monotonic()
        uptime = float((await self.control.router(self.router))["uptime"])
        return (before + time.monotonic()) / 2 - uptime


@asynccontextmanager
async def running(
    folder: Path, routers: int = 1, resync: str | None = None
) -> AsyncIterator[Relay]:
    """Start it, and stop all of it at the end; `resync` is the Devices' resyncInterval, by default that of a
    local relay.
    """
    supervisor = Supervisor(folder / "pid", folder / "log")
    settings = draw(routers)
    wanted = manifests(settings.routers)
    for item in wanted["items"]:
        if item["kind"] == "Device" and resync is not None:
            item["spec"]["resyncInterval"] = resync
    try:
        plane = await asyncio.to_thread(start, supervisor, settings, folder)
        plane.kubectl(
            "apply", "--server-side", "-f", "-", stdin=json.dumps(wanted)
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
                base_url=settings.bridge_url, timeout=ANSWER_WITHIN
            ) as http,
        ):
            yield Relay(plane, settings, control, http, folder)
    finally:
        await asyncio.to_thread(supervisor.stop)

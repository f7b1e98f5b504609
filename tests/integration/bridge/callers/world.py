"""A relay that the callers of a whole module share: three bridges that differ in a setting, one router, and an
agent that does at once what it is asked. The router's answers to commands are the test's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.connection import from_kubeconfig
from cerebro.kube.client.errors import KubeError
from cerebro.resources import DEVICE_COMMAND, DeviceCommand
from controlplane.server import ControlPlane
from integration.bridge.agent import Agent, condition
from integration.bridge.callers.rows import KEY, TOKENS, Phone, Request
from integration.bridge.process import BridgeProcess

Setting = tuple[str, str] | None
MAC = "AA:BB:CC:01:FF:01"
WITHOUT_LIMITS = {"RELAY_RATE_LIMIT": "100000"}
"""The rows come faster than any client's calls."""
READY = ("Ready", "Reachable", "TunnelUp")
_TRIES = 20


class World:
    """The bridges, by the setting that they have besides."""

    def __init__(
        self,
        plane: ControlPlane,
        namespace: str,
        kubeconfig: Path,
        folder: Path,
    ) -> None:
        self.agent = Agent(plane, namespace)
        self._plane = plane
        self._folder = folder
        self._environment = {
            **TOKENS,
            **WITHOUT_LIMITS,
            "KUBECONFIG": str(kubeconfig),
        }
        self._bridges: dict[Setting, BridgeProcess] = {}
        self._agents: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Make the router, and start its agent."""
        self.agent.make_device("router-1", router_id="R1", publicKey=KEY)
        conditions = [condition(kind, "True", "Test", 1) for kind in READY]
        self.agent.status("device", "router-1", conditions=conditions)
        self._agents = [
            asyncio.create_task(self.agent.work()),
            asyncio.create_task(self._run_commands()),
        ]

    async def close(self) -> None:
        """End everything, and print what the bridges wrote."""
        for task in self._agents:
            task.cancel()

        for bridge in self._bridges.values():
            bridge.kill()
            print(bridge.output())

    async def send(
        self, request: Request, phone: Phone, setting: Setting
    ) -> httpx.Response:
        """Send a request as its client does: anew, while the answer is one that clients send again for."""
        target = phone.fill(request.path)
        body = request.bytes_for(phone)
        bridge = await self._bridge(setting)
        async with httpx.AsyncClient(base_url=bridge.url, timeout=60) as http:
            for _ in range(_TRIES):
                answer = await http.request(
                    request.method,
                    target,
                    content=body,
                    headers=phone.fill(request.headers_for(target, body)),
                )
                if answer.status_code not in (502, 503, 504):
                    break

        return answer

    async def _bridge(self, setting: Setting) -> BridgeProcess:
        """Return the bridge with a setting, which is started for its first call."""
        if setting in self._bridges:
            return self._bridges[setting]

        folder = self._folder / (setting[0] if setting else "plain")
        folder.mkdir()
        more = dict([setting]) if setting else {}
        bridge = BridgeProcess(
            folder, {**self._environment, **more}, self.agent.namespace
        )
        self._bridges[setting] = bridge
        await _until_complete(bridge)

        return bridge

    async def _run_commands(self) -> None:
        """Carry out DeviceCommands, without end."""
        async with KubeApi(from_kubeconfig(self._plane.kubeconfig)) as api:
            while True:
                with suppress(KubeError):  # it is seen again in a moment
                    await self._run_those_that_wait(api)
                await asyncio.sleep(0.05)

    async def _run_those_that_wait(self, api: KubeApi) -> None:
        namespace = self.agent.namespace
        async for body in api.list_objects(
            DEVICE_COMMAND, namespace, field_selector="status.finished!=true"
        ):
            command = DeviceCommand.model_validate(body)
            done = condition("Complete", "True", "Succeeded", 1)
            status = {
                "phase": "Succeeded",
                "finished": True,
                "results": [
                    {"ok": True, "rows": rows} for rows in rows_of(command)
                ],
                "conditions": [done],
            }
            await api.patch(
                DEVICE_COMMAND,
                namespace,
                command.name,
                {"status": status},
                subresource="status",
            )


def rows_of(command: DeviceCommand) -> list[list[dict[str, str]]]:
    """Return what a router says, for each sentence of a command."""
    parameters: Mapping[str, str] = command.spec.parameters
    client = {"address": "10.6.0.9", "mac-address": MAC, ".id": "*1A"}
    answers: dict[str, list[list[dict[str, Any]]]] = {
        "Raw": [[client] for _ in command.spec.sentences],
        "Ping": [
            [{"seq": str(number), "time": "1ms"}]
            for number in range(int(parameters.get("count", "0")))
        ],
        "Arp": [[{**client, "interface": "bridge", "complete": "true"}]],
        "Active": [[{**client, "user": "guest", "uptime": "1h"}], []],
        "Kick": [[client]],
        "Probe": [
            [{"name": "R1"}],
            [{"version": "7.20", "board-name": "hAP"}],
        ],
    }
    rows = answers[command.spec.operation]

    return (
        [[row for one in rows for row in one]]
        if command.spec.operation == "Ping"
        else rows
    )


async def _until_complete(bridge: BridgeProcess) -> None:
    """Wait until a bridge knows all objects."""
    async with httpx.AsyncClient(base_url=bridge.url, timeout=60) as http:
        while True:
            with suppress(httpx.TransportError):
                answer = await http.get("/health")
                if answer.json()["status"] == "ok":
                    return

            await asyncio.sleep(0.1)

"""Operator and Hub's agent as a test plays them: tunnel addresses, Peers, and what their statuses say, for as long as
it runs.
"""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.connection import from_kubeconfig
from cerebro.kube.client.errors import AlreadyExists, KubeError, NotFound
from cerebro.resources import DEVICE, PEER
from controlplane.server import ControlPlane
from integration.bridge.agent import condition

PAUSE = 0.05
FIGURES_TOKEN = "figures-token-0123456789"
FIRST_FREE = ipaddress.ip_address("10.8.1.1")


class Carrier:
    """Carries the Hub `hub` of one namespace. While `holds` is set, Peers stay as they are."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.namespace = namespace
        self.holds = False
        self.keys: set[str] = set()
        """The keys on the interface."""
        self.page = ""
        """The agent's metrics."""
        self._server: asyncio.Server | None = None
        self._api = KubeApi(from_kubeconfig(plane.kubeconfig))
        self._given: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._api.__aenter__()
        self._server = await asyncio.start_server(
            self._metrics, "127.0.0.1", 0
        )
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        assert self._server is not None
        self._server.close()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._api.__aexit__(kind, error, trace)

    @property
    def metrics_url(self) -> str:
        """Where the agent says its figures."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/metrics"

    async def _metrics(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        knows = f"authorization: bearer {FIGURES_TOKEN}" in head
        page = self.page.encode() if knows else b""
        status = "200 OK" if knows else "401 Unauthorized"
        length = f"content-length: {len(page)}"
        writer.write(f"HTTP/1.1 {status}\r\n{length}\r\n\r\n".encode() + page)
        await writer.drain()
        writer.close()

    async def _run(self) -> None:
        while True:
            with suppress(KubeError):
                await self._step()
            await asyncio.sleep(PAUSE)

    async def _step(self) -> None:
        devices = {
            body["metadata"]["name"]: body
            async for body in self._api.list_objects(DEVICE, self.namespace)
        }
        peers = {
            body["metadata"]["name"]: body
            async for body in self._api.list_objects(PEER, self.namespace)
        }
        for name, body in devices.items():
            if body["spec"].get("hubRef"):
                await self._place(name, body)
                if not self.holds:
                    await self._carry(name, body, peers.get(name))
        for name, body in peers.items():
            wanted = devices.get(name, {}).get("spec", {}).get("publicKey")
            made_for_one = body["spec"].get("deviceRef")
            if made_for_one and not wanted and not self.holds:
                with suppress(NotFound):
                    await self._api.delete(PEER, self.namespace, name)
        if not self.holds:
            self.keys = {body["spec"]["publicKey"] for body in peers.values()}

    async def _place(self, name: str, body: dict[str, Any]) -> None:
        wanted = body["spec"].get("tunnelAddress") or self._given.setdefault(
            name, str(FIRST_FREE + len(self._given))
        )
        has_key = "publicKey" in body["spec"]
        status = {"tunnelAddress": wanted, "peerName": name}
        current = body.get("status", {})
        if any(current.get(field) != value for field, value in status.items()):
            await self._api.patch(
                DEVICE,
                self.namespace,
                name,
                {"status": status if has_key else {"tunnelAddress": wanted}},
                subresource="status",
            )

    async def _carry(
        self, name: str, body: dict[str, Any], peer: dict[str, Any] | None
    ) -> None:
        key = body["spec"].get("publicKey")
        address = body.get("status", {}).get("tunnelAddress")
        if not key or not address:
            return
        networks = [f"{address}/32", *body["spec"].get("lanNetworks", [])]
        follows = {"publicKey": key, "allowedIPs": networks}
        if peer is None:
            fields = {
                "hubRef": {"name": "hub"},
                "deviceRef": {"name": name},
                **follows,
            }
            with suppress(AlreadyExists):
                await self._api.create(
                    PEER,
                    self.namespace,
                    {"metadata": {"name": name}, "spec": fields},
                )
            return
        if any(peer["spec"].get(field) != follows[field] for field in follows):
            peer = await self._api.patch(
                PEER, self.namespace, name, {"spec": follows}
            )
        await self._report(name, key, peer)

    async def _report(self, name: str, key: str, peer: dict[str, Any]) -> None:
        generation = peer["metadata"]["generation"]
        said = peer.get("status", {})
        observed = [
            one.get("observedGeneration") for one in said.get("conditions", [])
        ]
        if said.get("appliedPublicKey") == key and observed == [generation]:
            return
        applied = condition("Applied", "True", "Applied", generation, "there")
        await self._api.patch(
            PEER,
            self.namespace,
            name,
            {"status": {"appliedPublicKey": key, "conditions": [applied]}},
            subresource="status",
        )

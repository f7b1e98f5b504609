"""A billing backend that signs and calls, as clients do. Shares no code with the bridge."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from types import TracebackType
from typing import Any, Self

import httpx

from integration.bridge.process import SECRET, TOKEN, BridgeProcess

MAC = "AA:BB:CC:DD:EE:01"
IP = "10.5.50.10"
HERE = {"ipAtual": IP, "macAtual": MAC}


class Caller:
    """Calls one bridge. `now` shifts its clock, in seconds."""

    def __init__(self, process: BridgeProcess) -> None:
        self.process = process
        self._client = httpx.AsyncClient(base_url=process.url, timeout=20)
        self.now = 0.0

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    def signed(
        self, path: str, body: bytes, *, form: str = "A", nonce: str | None = None, method: str = "POST"
    ) -> dict[str, str]:
        """Headers with a signature of form A or B."""
        stamp = str(round((time.time() + self.now) * 1000))
        once = nonce or secrets.token_hex(16)
        last = hashlib.sha256(body).hexdigest().encode() if form == "A" else body
        message = b"\n".join((method.encode(), path.encode(), stamp.encode(), once.encode(), last))
        digits = hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
        token = {"x-relay-token": TOKEN} if form == "A" else {"authorization": f"Bearer {TOKEN}"}
        return {
            **token,
            "content-type": "application/json",
            "x-relay-ts": stamp,
            "x-relay-nonce": once,
            "x-relay-signature": digits,
        }

    async def raw(
        self, path: str, body: bytes, headers: dict[str, str], method: str = "POST"
    ) -> httpx.Response:
        return await self._client.request(method, path, content=body, headers=headers)

    async def post(self, path: str, fields: dict[str, Any], form: str = "A") -> httpx.Response:
        body = json.dumps(fields, ensure_ascii=False).encode()
        return await self.raw(path, body, self.signed(path, body, form=form))

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self._client.get(path, headers=headers)

    async def authorize(self, order_id: str, **fields: Any) -> httpx.Response:
        return await self.post(
            "/relay/authorize-by-pedido", {"pedidoId": order_id, "mikId": "R1", **(fields or HERE)}
        )

    async def revoke(self, **fields: Any) -> httpx.Response:
        return await self.post("/relay/revoke", {"mikId": "R1", **fields})

    async def until_up(self) -> None:
        """Wait until it listens."""
        for _ in range(600):
            try:
                if (await self.get("/health/live")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
        raise AssertionError(f"the bridge does not listen:\n{self.process.output()}")

    async def until_complete(self) -> None:
        """Wait until it knows all Devices and Sessions."""
        await self.until_up()
        for _ in range(600):
            if (await self.get("/health")).json()["status"] == "ok":
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"the bridge does not know all objects:\n{self.process.output()}")

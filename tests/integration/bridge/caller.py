"""A billing backend that signs and calls, as clients do. Shares no code with the bridge."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import httpx

from integration.bridge.process import CERTAIN, SECRET, TOKEN, BridgeProcess

MAC = "AA:BB:CC:DD:EE:01"
IP = "10.5.50.10"
HERE = {"ipAtual": IP, "macAtual": MAC}
NOT_WRITTEN = frozenset({"kubernetes_unavailable"})
"""What the bridge says when its 4 s were over before the API server had the order (A7): a busy machine will do."""
NOT_CONFIRMED = NOT_WRITTEN | {"router_timeout", "wg_peer_pending"}
"""The same, or they were over before the router had it, or the hub."""


class Caller:
    """Calls one bridge. `now` shifts its clock, in seconds."""

    def __init__(self, process: BridgeProcess) -> None:
        self.process = process
        self._client = httpx.AsyncClient(base_url=process.url, timeout=CERTAIN)
        self._again: frozenset[str] = frozenset()
        self.now = 0.0

    @property
    def until_written(self) -> Caller:
        """The same backend, which asks again while the API server did not have it in time."""
        return self._asking_again(NOT_WRITTEN)

    @property
    def until_confirmed(self) -> Caller:
        """The same backend, which asks again, as clients do, while the router did not have it in time."""
        return self._asking_again(NOT_CONFIRMED)

    def _asking_again(self, codes: frozenset[str]) -> Caller:
        caller = copy.copy(self)
        caller._again = codes
        return caller

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
        self,
        path: str,
        body: bytes,
        *,
        form: str = "A",
        nonce: str | None = None,
        method: str = "POST",
    ) -> dict[str, str]:
        """Headers with a signature of form A or B."""
        stamp = str(round((time.time() + self.now) * 1000))
        once = nonce or secrets.token_hex(16)
        last = (
            hashlib.sha256(body).hexdigest().encode() if form == "A" else body
        )
        message = b"\n".join(
            (
                method.encode(),
                path.encode(),
                stamp.encode(),
                once.encode(),
                last,
            )
        )
        digits = hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()
        token = (
            {"x-relay-token": TOKEN}
            if form == "A"
            else {"authorization": f"Bearer {TOKEN}"}
        )
        return {
            **token,
            "content-type": "application/json",
            "x-relay-ts": stamp,
            "x-relay-nonce": once,
            "x-relay-signature": digits,
        }

    async def raw(
        self,
        path: str,
        body: bytes,
        headers: dict[str, str],
        method: str = "POST",
    ) -> httpx.Response:
        return await self._client.request(
            method, path, content=body, headers=headers
        )

    async def post(
        self, path: str, fields: dict[str, Any], form: str = "A"
    ) -> httpx.Response:
        body = json.dumps(fields, ensure_ascii=False).encode()
        deadline = time.monotonic() + CERTAIN
        while True:
            answer = await self.raw(
                path, body, self.signed(path, body, form=form)
            )
            if (
                answer.status_code != 503
                or answer.json()["code"] not in self._again
            ):
                return answer
            assert time.monotonic() < deadline, f"{path}: still {answer.text}"

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self._client.get(path, headers=headers)

    async def authorize(self, order_id: str, **fields: Any) -> httpx.Response:
        return await self.post(
            "/relay/authorize-by-pedido",
            {"pedidoId": order_id, "mikId": "R1", **(fields or HERE)},
        )

    async def revoke(self, **fields: Any) -> httpx.Response:
        return await self.post("/relay/revoke", {"mikId": "R1", **fields})

    async def until_up(self) -> None:
        """Wait until it listens."""

        async def listens() -> bool:
            try:
                return (await self.get("/health/live")).status_code == 200
            except httpx.TransportError:
                return False

        await self._until(listens, "the bridge listens")

    async def until_complete(self) -> None:
        """Wait until it knows all Devices and Sessions."""
        await self.until_up()

        async def ok() -> bool:
            return bool((await self.get("/health")).json()["status"] == "ok")

        await self._until(ok, "the bridge knows all objects")

    async def until_shown(self, figure: str) -> None:
        """Wait until its metrics say something. They may be asked for 60 times a minute."""

        async def shown() -> bool:
            answer = await self.get("/metrics", **{"x-relay-token": TOKEN})
            return answer.status_code == 200 and figure in answer.text

        await self._until(shown, figure, pauses_up_to=2.0)

    async def until_taken(self, count: int) -> None:
        """Wait until so many requests were ever taken into the inbox."""

        async def taken() -> bool:
            return self.process.taken() >= count

        await self._until(taken, f"{count} entries were taken")

    async def until_carried_out(self) -> None:
        """Wait until the inbox is empty."""

        async def empty() -> bool:
            return self.process.inbox() == 0

        await self._until(empty, "the inbox is empty")

    async def _until(
        self,
        check: Callable[[], Awaitable[bool]],
        what: str,
        *,
        pauses_up_to: float = 0.1,
    ) -> None:
        deadline, pause = time.monotonic() + CERTAIN, 0.02
        while not await check():
            assert time.monotonic() < deadline, (
                f"not so: {what}\n{self.process.output()}"
            )
            await asyncio.sleep(pause)
            pause = min(pause * 1.4, pauses_up_to)


async def eventually(check: Callable[[], object]) -> None:
    """Wait until it is so. `check` runs in a thread; what it asserts may fail at first."""
    deadline = time.monotonic() + CERTAIN
    while time.monotonic() < deadline:
        with contextlib.suppress(AssertionError, RuntimeError):
            if await asyncio.to_thread(check):
                return
        await asyncio.sleep(0.1)
    assert check()

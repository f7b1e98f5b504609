"""A billing backend as the real ones are: signs each call anew and asks again until it gets a final answer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from integration.faults.stack import CERTAIN, SECRET, TOKEN

AUTHORIZE, RESYNC, REVOKE = (
    "/relay/authorize-by-pedido",
    "/relay/resync-device",
    "/relay/revoke",
)


@dataclass(frozen=True)
class Answer:
    """One answer; status 0 means that the connection broke or was refused."""

    status: int
    body: dict[str, Any]


def signed(path: str, body: bytes, at: float) -> dict[str, str]:
    """Make the headers of form A (contract 2), signed at that time (unix seconds)."""
    stamp, nonce = str(round(at * 1000)), secrets.token_hex(16)
    message = "\n".join(
        ("POST", path, stamp, nonce, hashlib.sha256(body).hexdigest())
    )
    return {
        "authorization": f"Bearer {TOKEN}",
        "content-type": "application/json",
        "x-relay-ts": stamp,
        "x-relay-nonce": nonce,
        "x-relay-signature": hmac.new(
            SECRET.encode(), message.encode(), hashlib.sha256
        ).hexdigest(),
    }


class Backend:
    """Calls one bridge."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    async def post(
        self, path: str, *, at: float | None = None, **fields: Any
    ) -> Answer:
        """Call once, over a connection of its own; signed `at` that time, else now."""
        body = json.dumps({"mikId": "R1", **fields}).encode()
        try:
            async with httpx.AsyncClient(timeout=60) as client:
                headers = signed(path, body, at or time.time())
                answer = await client.post(
                    self._url + path, content=body, headers=headers
                )
        except httpx.TransportError:
            return Answer(0, {})
        return Answer(answer.status_code, answer.json())

    async def insist(
        self,
        path: str,
        between: Callable[[], Awaitable[None]] | None = None,
        **fields: Any,
    ) -> Answer:
        """Ask again while the bridge is away or says 503, calling `between`; gives the final answer."""
        deadline = time.monotonic() + CERTAIN
        while True:
            answer = await self.post(path, **fields)
            if answer.status not in (0, 503):
                return answer
            assert time.monotonic() < deadline, (
                f"{path} {fields}: still {answer}"
            )
            if between is not None:
                await between()
            await asyncio.sleep(0.1)

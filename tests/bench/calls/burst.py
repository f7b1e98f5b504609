"""Bursts of requests from a process of their own, and what came of them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

from bench.figures import Figures
from bench.relay import Relay
from controlplane.processes import free_port

_HERE = Path(__file__).parent
ACTION = "/relay/action"


@dataclass(frozen=True)
class Place:
    """Where requests go, and how they are signed; without a secret they are not."""

    port: int
    path: str
    method: str = "GET"
    token: str | None = None
    secret: str | None = None

    @classmethod
    def action(cls, relay: Relay) -> Place:
        """Signed actions of a relay's bridge."""
        secrets = relay.settings.secrets
        return cls(
            relay.settings.bridge_port,
            ACTION,
            "POST",
            secrets["RELAY_TOKEN"],
            secrets["RELAY_API_SECRET"],
        )


@dataclass(frozen=True)
class Burst:
    """What came of many requests."""

    seconds: float
    figures: Figures
    statuses: dict[int, int]
    refusal: str | None
    """The first body that came with another status than 200."""

    @property
    def done(self) -> int:
        """Answers with 200."""
        return self.statuses.get(200, 0)

    @property
    def rate(self) -> float:
        """Answers with 200 a second."""
        return self.done / self.seconds

    @property
    def refused(self) -> int:
        """Answers with another status."""
        return sum(self.statuses.values()) - self.done


async def burst(
    place: Place,
    count: int,
    connections: int,
    bodies: Sequence[str] = (),
    *,
    stamp: int | None = None,
) -> Burst:
    """Send that many requests with these bodies in turn; `stamp` is the time that all are signed with."""
    spec = {
        "port": place.port,
        "method": place.method,
        "path": place.path,
        "token": place.token,
        "secret": place.secret,
        "bodies": list(bodies),
        "count": count,
        "connections": connections,
        "stamp": stamp,
    }
    sender = await asyncio.create_subprocess_exec(
        sys.executable,
        str(_HERE / "sender.py"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await sender.communicate(json.dumps(spec).encode())
    assert sender.returncode == 0, "the sender failed"
    result: dict[str, Any] = json.loads(output)

    return Burst(
        result["seconds"],
        Figures(result["p50"], result["p99"]),
        {int(status): n for status, n in result["statuses"].items()},
        result["refusal"],
    )


def order_body(order: str, router: str, mac: str, ip: str) -> str:
    """Return the body of the action that lets a client in."""
    payload = {
        "pedidoId": order,
        "mikId": router,
        "deviceToken": order,
        "ipAtual": ip,
        "macAtual": mac,
    }
    return json.dumps({"action": "AUTHORIZE_BY_PEDIDO", "payload": payload})


def client_of(number: int) -> tuple[str, str]:
    """Return the MAC and the address of a client by its number, below 2**21."""
    high, middle, low = number >> 16, (number >> 8) & 0xFF, number & 0xFF
    return (
        f"AA:BE:00:{high:02X}:{middle:02X}:{low:02X}",
        f"10.{64 + high}.{middle}.{low}",
    )


@contextmanager
def hello() -> Iterator[Place]:
    """Serve FastAPI's first example while the context lasts."""
    port = free_port()
    with Popen([sys.executable, str(_HERE / "hello.py"), str(port)]) as server:
        try:
            yield Place(port, "/hello")
        finally:
            server.kill()


async def until_answered(place: Place) -> None:
    """Wait until a server that was just started answers."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", place.port)
        except OSError:
            await asyncio.sleep(0.05)
            continue

        writer.close()
        return


def now() -> int:
    """Return the time in milliseconds since 1970, as signatures have it."""
    return int(time.time() * 1000)

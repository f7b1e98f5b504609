"""`python sender.py`: sends requests over connections that it keeps, as fast as they are answered.

It is a process of its own, so that it takes no time from what it measures, and as light as can be: the
requests are made and signed before the clock starts, and of an answer only the status and the length are
read. It shares no code with Cérebro. Standard input is a JSON object:

| field | what |
| --- | --- |
| `port` | where to connect, on loopback |
| `method`, `path` | the request line |
| `bodies` | the bodies, in turn; an empty list for requests without a body |
| `count` | how many requests |
| `connections` | how many at once; each has one request under way |
| `token`, `secret` | how to sign; without a secret nothing is signed |
| `stamp` | the time to sign with (ms since 1970); without it each request has the time at which it was made |

Standard output is a JSON object: `seconds` from the first request to the last answer, `p50` and `p99` of the
seconds to an answer, `statuses` (a number by status), and `refusal`, the first body that came with another
status than 200.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "


def requests(spec: dict[str, Any]) -> list[bytes]:
    """Return the bytes of every request."""
    bodies = [body.encode() for body in spec["bodies"]] or [b""]
    return [
        request(spec, bodies[number % len(bodies)])
        for number in range(spec["count"])
    ]


def request(spec: dict[str, Any], body: bytes) -> bytes:
    """Return the bytes of a request, signed in form A if there is a secret."""
    lines = [f"{spec['method']} {spec['path']} HTTP/1.1", "host: 127.0.0.1"]
    if body:
        lines += [
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]

    if spec.get("secret"):
        stamp = str(spec.get("stamp") or round(time.time() * 1000))
        nonce = os.urandom(16).hex()
        digest = hashlib.sha256(body).hexdigest()
        signed = "\n".join(
            (spec["method"], spec["path"], stamp, nonce, digest)
        )
        key = spec["secret"].encode()
        lines += [
            f"x-relay-token: {spec['token']}",
            f"x-relay-ts: {stamp}",
            f"x-relay-nonce: {nonce}",
            "x-relay-signature: "
            + hmac.new(key, signed.encode(), hashlib.sha256).hexdigest(),
        ]

    return "\r\n".join(lines).encode() + HEAD_END + body


class Results:
    """What came of the requests."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.refusal: str | None = None

    def add(self, seconds: float, status: int, body: bytes) -> None:
        """Note an answer."""
        self.times.append(seconds)
        self.statuses[status] += 1
        if status != 200 and self.refusal is None:
            self.refusal = body.decode("utf-8", "replace")

    def summary(self, seconds: float) -> dict[str, Any]:
        """Return all of it for standard output."""
        ordered = sorted(self.times)
        last = len(ordered) - 1
        return {
            "seconds": seconds,
            "p50": ordered[len(ordered) // 2],
            "p99": ordered[min(last, round(0.99 * last))],
            "statuses": self.statuses,
            "refusal": self.refusal,
        }


class Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, and sends the next one until none is left."""

    def __init__(self, waiting: Iterator[bytes], results: Results) -> None:
        self._waiting = waiting
        self._results = results
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = (
            asyncio.get_running_loop().create_future()
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send_next(self) -> None:
        """Send the next request, or end."""
        assert self._transport is not None
        following = next(self._waiting, None)
        if following is None:
            self.done.set_result(None)
            self._transport.close()
            return

        self._sent_at = time.perf_counter()
        self._transport.write(following)

    def data_received(self, data: bytes) -> None:
        received = self._received = self._received + data
        end = received.find(HEAD_END)
        if end < 0:
            return

        begin = received.index(LENGTH) + len(LENGTH)
        length = int(received[begin : received.index(b"\r", begin)])
        whole = end + len(HEAD_END) + length
        if len(received) < whole:
            return

        self._received = received[whole:]
        self._results.add(
            time.perf_counter() - self._sent_at,
            int(received[9:12]),
            received[end + len(HEAD_END) : whole],
        )
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(
                exc or ConnectionError("closed before the answer")
            )


async def send(spec: dict[str, Any]) -> dict[str, Any]:
    """Send all requests, and return what came of them."""
    loop = asyncio.get_running_loop()
    results, waiting = Results(), iter(requests(spec))
    connections = [
        (
            await loop.create_connection(
                lambda: Connection(waiting, results), "127.0.0.1", spec["port"]
            )
        )[1]
        for _ in range(spec["connections"])
    ]

    start = time.perf_counter()
    for connection in connections:
        connection.send_next()

    await asyncio.gather(*(connection.done for connection in connections))
    return results.summary(time.perf_counter() - start)


if __name__ == "__main__":
    json.dump(asyncio.run(send(json.load(sys.stdin))), sys.stdout)

"""What is wrong with the fake backend at the moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiohttp import web

KINDS = ("500", "hang", "half", "signature", "unanswered")
HANG = 3600.0


class Refused(Exception):
    """A fault that nobody can ask for; the text says which there are."""


@dataclass
class Faults:
    """How feed and ACKs are answered; by default as the contract says."""

    feed: str | None = None
    """What happens to polls: a kind of KINDS, or None."""
    ack: str | None = None
    """What happens to ACKs; `half` and `signature` concern the feed only, and
    `unanswered` ACKs only: they are taken, and who sent them is not told.
    """
    times: int = 1
    """How often each event is in a feed."""
    keep: bool = False
    """Whether an event stays in the feed after its ACK."""

    def change(self, wanted: dict[str, Any]) -> None:
        """Change what is named. Raises Refused."""
        for name, value in wanted.items():
            if name in ("feed", "ack"):
                if value is not None and value not in KINDS:
                    raise Refused(
                        f"{name} is null or one of {', '.join(KINDS)}"
                    )
            elif name == "times":
                if not isinstance(value, int) or value < 1:
                    raise Refused("times is a positive number")
            elif name != "keep":
                raise Refused("a fault is one of feed, ack, times, keep")
            setattr(self, name, value)


async def hang_or_fail(kind: str | None) -> web.Response | None:
    """Do what a fault does before an answer is made; None to go on."""
    if kind == "hang":
        await asyncio.sleep(HANG)
    if kind == "500":
        return web.json_response({"error": "broken on purpose"}, status=500)
    return None


async def half(request: web.Request, response: web.Response) -> web.Response:
    """Send the head and half of the body of an answer, and cut the line."""
    body = response.body
    assert isinstance(body, bytes)
    stream = web.StreamResponse(
        headers={
            **response.headers,
            "content-length": str(len(body)),
        }
    )
    await stream.prepare(request)
    await stream.write(body[: max(1, len(body) // 2)])
    if request.transport is not None:
        request.transport.close()
    return response

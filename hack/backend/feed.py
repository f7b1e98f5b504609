"""The fake backend from outside: events in, ACKs out, by its control path.
Shares no code with the bridge that polls it.
"""

from __future__ import annotations

import time
from typing import Any, cast

import httpx

TIMEOUT = 10.0


class Feed:
    """The control path of one fake backend. Use it as a context manager."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.Client(
            base_url=f"{base_url}/control", timeout=TIMEOUT
        )

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def offer(
        self, event_id: str, event_type: str, **payload: Any
    ) -> dict[str, Any]:
        """Put an event into the feed; return it."""
        event = {
            "eventId": event_id,
            "type": event_type,
            "payload": payload,
            "timestamp": int(time.time() * 1000),
        }
        self._http.post("/events", json=event).raise_for_status()
        return event

    def acks(self, event_id: str) -> list[dict[str, Any]]:
        """Return the ACKs of an event that the backend took, in their order."""
        answer = self._http.get("/acks").raise_for_status()
        acks = cast("list[dict[str, Any]]", answer.json())
        return [ack for ack in acks if ack["eventId"] == event_id]

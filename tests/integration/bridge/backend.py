"""The fake backend as a process of its own, and what a test asks of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import httpx

from controlplane.processes import free_port
from integration.bridge.process import CERTAIN

SECRET = "backend-secret-0123456789"
HACK = Path(__file__).parents[3] / "hack"

Ack = dict[str, Any]


class FakeBackend:
    """`python -m backend`: events in, ACKs out, faults. Started at once."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "backend",
                "--listen",
                f"127.0.0.1:{port}",
            ],
            cwd=HACK,
            env={"PATH": os.environ["PATH"], "BACKEND_HMAC_SECRET": SECRET},
        )
        self._http = httpx.Client(base_url=self.url, timeout=10.0)

    @property
    def environment(self) -> dict[str, str]:
        """What a bridge has to know of it; the bridge looks often, and its Lease is short."""
        return {
            "BACKEND_EVENTS_URL": f"{self.url}/events",
            "BACKEND_ACK_URL": f"{self.url}/ack",
            "BACKEND_HMAC_SECRET": SECRET,
            "CEREBRO_POLL_INTERVAL": "0.2",
            "CEREBRO_LEASE_DURATION": "2",
            "CEREBRO_LEASE_RENEW_INTERVAL": "0.5",
        }

    def until_up(self) -> None:
        deadline = time.monotonic() + CERTAIN
        while True:
            try:
                self._http.get("/control/polls").raise_for_status()
            except httpx.TransportError:
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.05)
            else:
                return

    def offer(self, *events: dict[str, Any]) -> None:
        """Put events into the feed."""
        self._http.post(
            "/control/events", json=list(events)
        ).raise_for_status()

    def break_down(self, **faults: Any) -> None:
        """Let faults be there, or let them be over: None."""
        self._http.put("/control/faults", json=faults).raise_for_status()

    def polls(self) -> int:
        return int(self._http.get("/control/polls").json()["polls"])

    def acks(self, event_id: str) -> list[Ack]:
        """The ACKs of an event that it took, in their order."""
        return [ack for ack in self.all_acks() if ack["eventId"] == event_id]

    def all_acks(self) -> list[Ack]:
        """All ACKs that it took, in their order."""
        return cast("list[Ack]", self._http.get("/control/acks").json())

    def forget(self) -> None:
        """Forget events, ACKs and faults."""
        self._http.delete("/control").raise_for_status()

    async def until_acked(self, event_id: str) -> Ack:
        """Wait for the final ACK of an event; gives it."""

        def final() -> list[Ack]:
            return [
                ack
                for ack in self.acks(event_id)
                if ack["payload"].get("reason") != "pending"
            ]

        await self.until(lambda: bool(final()), f"a final ACK of {event_id}")
        return final()[0]

    async def until(self, check: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + CERTAIN
        while not await asyncio.to_thread(check):
            assert time.monotonic() < deadline, f"not so: {what}"
            await asyncio.sleep(0.05)

    def stop(self) -> None:
        self._http.close()
        self._child.kill()
        self._child.wait(CERTAIN)


def event(
    event_id: str, event_type: str = "RELEASE_REQUESTED", **payload: Any
) -> dict[str, Any]:
    """An event as a backend has it: by default the release of one phone."""
    fields = {
        "pedidoId": f"order-{event_id}",
        "mikId": "R1",
        "ip": "10.5.50.10",
        "mac": "AA:BB:CC:DD:EE:01",
        **payload,
    }
    return {
        "eventId": event_id,
        "type": event_type,
        "payload": fields,
        "timestamp": round(time.time() * 1000),
    }

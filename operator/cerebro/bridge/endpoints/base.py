"""What every endpoint begins with, and what several of them answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request

from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.routes import Route
from cerebro.bridge.requests.fields import Fields, parse_body


class Endpoints(Protocol):
    """A family of endpoints."""

    def routes(self) -> list[Route]:
        """Return the endpoints of this family."""
        ...


@dataclass(frozen=True, slots=True)
class BridgeState:
    """How the bridge is, for the health endpoints (E11)."""

    ready: bool
    """A request can be taken into the inbox."""

    healthy: bool
    """Besides, all Devices and Sessions are known and the API server answers."""

    store_failure: str | None
    """Why the store could not be used the last time, None if it could."""


def read_call(request: Request) -> tuple[Call, Fields]:
    """Return a request that the gate let through, and the fields of its body.

    Raises ApiError 400.
    """
    call: Call = request.state.call
    return call, parse_body(call.body)

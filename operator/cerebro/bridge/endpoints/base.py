"""What every endpoint begins with, and what several of them answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeVar

from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.routes import Route
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests.fields import Fields, parse_body

A = TypeVar("A", bound=Answer)


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

    order_check: Literal["ok", "failed", "off"] = "off"
    """Whether orders can be checked; `off` if none are."""

    checks: dict[str, bool] = field(default_factory=dict)
    """Whether each check passes without which it is not ready."""

    facts: dict[str, bool] = field(default_factory=dict)
    """What the probes tell besides, and do not depend on."""


def read_call(request: Request) -> tuple[Call, Fields]:
    """Return a request that the gate let through, and the fields of its body.

    Raises ApiError 400.
    """
    call: Call = request.state.call

    # Who tells the audit log has read the body already.
    fields = getattr(request.state, "fields", None)
    if fields is None:
        fields = parse_body(call.body)

    return call, fields


async def counted(
    service: OrderService,
    action: str,
    call: Call,
    mik_id: str | None,
    work: Awaitable[A],
) -> A:
    """Do the work of an action, and count it under its name and its router."""
    succeeded = False
    try:
        answer = await work
        succeeded = True
        return answer
    finally:
        milliseconds = (time.monotonic() - call.arrived) * 1000
        router = service.known_router(mik_id)
        service.metrics.action(action, succeeded, milliseconds, router)


def now_text() -> str:
    """Return the time here in UTC, to the millisecond, as JavaScript writes it."""
    text = datetime.now(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

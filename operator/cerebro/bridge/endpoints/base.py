"""What every endpoint begins with."""

from __future__ import annotations

from starlette.requests import Request

from cerebro.bridge.http.answers import Call
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests.fields import Fields, parse_body


def read_call(request: Request) -> tuple[Call, Fields]:
    """Return a request that was let through, and the fields of its body. Raises ApiError 400."""
    call: Call = request.state.call
    return call, parse_body(call.body)


def dry_run_fields(relay: OrderService) -> dict[str, bool]:
    """Return what an answer says of a bridge that only pretends."""
    return {"dryRun": True} if relay.settings.dry_run else {}

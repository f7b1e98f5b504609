"""How a router is, in the four words of the old dashboards (F8). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cerebro.bridge.orders.outcomes import breaker_open
from cerebro.domain.ready_owner import is_served
from cerebro.resources import Device, find_condition

State = Literal["OK", "DEGRADED", "COOLDOWN", "FAILED"]

_FAILURES = {
    "Authenticated": "router_auth_failed",
    "Reachable": "router_unreachable",
}
"""The message code of each condition of a Device that is False; the first one
counts.
"""


@dataclass(frozen=True, slots=True)
class RouterState:
    """How a router is."""

    state: State

    online: bool
    """Whether its API answered the last time."""

    message_code: str

    retry_in_ms: int = 0
    """Until it is tried anew, while its breaker is open."""


def router_state(device: Device, now: datetime) -> RouterState:
    """Return how a router is, as its agent reported it; `now` is aware."""
    breaker = breaker_open(device, now)
    if breaker is not None:
        wait_ms = round((breaker.retry_after or 0) * 1000)
        return RouterState("COOLDOWN", False, "cooldown_active", wait_ms)

    conditions = device.status.conditions
    for name, message_code in _FAILURES.items():
        condition = find_condition(conditions, name)
        if condition is not None and condition.status == "False":
            return RouterState("FAILED", False, message_code)

    ready = find_condition(conditions, "Ready")
    if ready is not None and is_served(ready):
        return RouterState("OK", True, "router_ok")

    reachable = find_condition(conditions, "Reachable")
    online = reachable is not None and reachable.status == "True"

    return RouterState("DEGRADED", online, "router_degraded")

"""When a router that did not answer is tried again: by its breaker, and at once
where its Secret changed (rule B5).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from cerebro.agent.devices.breaker import Breaker
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.schedule import Schedule
from cerebro.resources import Device
from cerebro.routeros.client.errors import ConnectionLost, RouterError, Stalled

_WAITING_TURN = 5.0
"""Seconds between turns while the next try is not due: each looks at the
clock, and at the Secret if that may help.
"""


class Attempts:
    """The tries of one loop, by its breaker and in its schedule."""

    def __init__(self, link: RouterLink, schedule: Schedule) -> None:
        self.breaker = Breaker()
        self._link = link
        self._schedule = schedule
        self._secret_at_failure: str | None = None

    def try_again(self) -> None:
        """Let one try through."""
        self.breaker.half_open(time.monotonic())
        self._schedule.retry_now()

    async def secret_changed(self, device: Device) -> bool:
        """Return whether the Secret changed since it was refused; then one
        try is let through at once.
        """
        secret = await self._link.secret_state(device)
        if secret == self._secret_at_failure:
            return False

        self._secret_at_failure = secret
        self.breaker.half_open(time.monotonic())
        self._schedule.at_once = True

        return True

    def wait(self) -> None:
        """Have the loop turn when the next try is due, and before that."""
        next_turn = time.monotonic() + _WAITING_TURN
        self._schedule.suspend(retry_at=min(self.breaker.next_try, next_turn))

    def succeeded(self) -> None:
        """Note that the router answered."""
        self.breaker.succeeded()
        self._secret_at_failure = None

    def failed(self, error: RouterError) -> datetime | None:
        """Note that the router could not be reached or did not answer; return
        until when it is not tried, None if the breaker is closed.
        """
        now = time.monotonic()
        self._link.drop()

        if _connection_broke(error):
            self.breaker.connection_broke(now)
        else:
            self.breaker.failed(now)

        self._schedule.failed(self.breaker.next_try)

        return self.breaker.opens_at(now, datetime.now(UTC))

    def is_first_break(self, error: RouterError) -> bool:
        """Return whether the error is the first connection that broke, which
        is replaced at once: most often nobody need know.
        """
        return self.breaker.failures <= 1 and _connection_broke(error)


def _connection_broke(error: RouterError) -> bool:
    return isinstance(error, Stalled | ConnectionLost)

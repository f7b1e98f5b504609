"""The circuit breaker and the waits between tries of one router. Pure: times
are passed in, in seconds of the monotonic clock. Only the jitter comes from
outside.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from cerebro.resources.device import CircuitBreaker

State = Literal["Closed", "Open", "HalfOpen"]

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 15.0


@dataclass
class Breaker:
    """Opens after `threshold` failures in a row, lets one try through after
    `recovery` seconds.
    """

    threshold: int = 5
    recovery: float = 60.0
    failures: int = 0
    open_until: float | None = None
    next_try: float = 0.0

    def configure(self, spec: CircuitBreaker) -> None:
        """Take threshold and recovery time from a Device; what is counted and
        waited for already stays.
        """
        self.threshold = spec.failure_threshold
        self.recovery = spec.recovery_time.total_seconds()

    def state(self, now: float) -> State:
        """Return whether tries go through (Closed), one may (HalfOpen), or
        none (Open).
        """
        if self.open_until is None:
            return "Closed"

        if now < self.open_until:
            return "Open"

        return "HalfOpen"

    def opens_at(self, now: float, wall: datetime) -> datetime | None:
        """Return until when it is open, as a moment of the wall clock; None
        unless it opened. `now` and `wall` are the same moment.
        """
        if self.open_until is None:
            return None

        return wall + timedelta(seconds=self.open_until - now)

    def succeeded(self) -> None:
        """Note that the router answered: all failures are forgotten."""
        self.failures = 0
        self.open_until = None
        self.next_try = 0.0

    def failed(self, now: float) -> None:
        """Note that the router did not answer: wait longer each time, with
        jitter, and open after too many.
        """

        self.failures += 1

        if self.failures >= self.threshold:
            self.open_until = now + self.recovery
            self.next_try = self.open_until

            return

        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (self.failures - 1))
        jitter = random.uniform(0.75, 1.25)  # noqa: S311 jitter is no secret
        self.next_try = now + wait * jitter

    def connection_broke(self, now: float) -> None:
        """Note that an open connection broke. That says little of the router:
        the first time, try a new one at once.
        """
        first = self.failures == 0

        self.failed(now)

        if first:
            self.next_try = now

    def half_open(self, now: float) -> None:
        """Let one try through at once: something changed (a new Secret, a new
        handshake).
        """
        if self.open_until is not None:
            # Half open: the time until which it is open has come.
            self.open_until = now

        self.next_try = now

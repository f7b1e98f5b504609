"""The circuit breaker and the waits of one router. Pure: times come in, in seconds of a monotonic clock."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

State = Literal["Closed", "Open", "HalfOpen"]
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 15.0


@dataclass
class Breaker:
    """Opens after `threshold` failures in a row, lets one try through after `recovery` seconds."""

    threshold: int
    recovery: float
    failures: int = 0
    open_until: float | None = None
    next_try: float = 0.0

    def state(self, now: float) -> State:
        """Say whether tries go through (Closed), one may (HalfOpen), or none (Open)."""
        if self.open_until is None:
            return "Closed"
        return "Open" if now < self.open_until else "HalfOpen"

    def succeeded(self) -> None:
        """The router answered: all is forgotten."""
        self.failures, self.open_until, self.next_try = 0, None, 0.0

    def failed(self, now: float) -> None:
        """The router did not answer: wait longer each time, with jitter, and open when it was too often."""
        self.failures += 1
        if self.failures >= self.threshold:
            self.open_until = self.next_try = now + self.recovery
            return
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (self.failures - 1))
        self.next_try = now + wait * random.uniform(0.75, 1.25)  # noqa: S311 jitter is no secret

    def half_open(self, now: float) -> None:
        """Something changed (a new secret, a new handshake): one try may go through at once."""
        if self.open_until is not None:
            self.open_until = now
        self.next_try = now

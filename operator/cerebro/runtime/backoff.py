"""Waits between tries: growing, jittered, endless, with a ceiling. Pure but for the dice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait before each further try; iterate it anew for each new trouble, as kopf does."""

    first: float = 0.1
    ceiling: float = 30.0

    def __iter__(self) -> Iterator[float]:
        """Yield waits without end, each half to all of a value that doubles up to the ceiling."""
        whole = self.first
        while True:
            yield min(whole, self.ceiling) * random.uniform(0.5, 1.0)  # noqa: S311 no secret
            whole = min(whole * 2, self.ceiling)

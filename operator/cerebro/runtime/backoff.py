"""Waits between tries: growing, jittered, endless, with a ceiling. Pure but
for the dice.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait before each further try.

    Iterate it anew for each new trouble: an iterator goes on where it stands,
    and kopf iterates in the same way over what it takes as its back-offs.
    """

    first: float = 0.1
    """The first wait at most."""

    ceiling: float = 30.0
    """No wait is longer."""

    def __iter__(self) -> Iterator[float]:
        """Yield waits without end, each half to all of a value that doubles up
        to the ceiling.

        The jitter keeps processes that failed together from trying again
        together.
        """
        whole = self.first
        while True:
            share = random.uniform(0.5, 1.0)  # noqa: S311 no secret
            yield min(whole, self.ceiling) * share

            whole = min(whole * 2, self.ceiling)

"""A router's own clock, which tests may push forward, and the rows that vanish
when their time has come.
"""

from __future__ import annotations

import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from simulator.row import Row


class Clock:
    """Seconds that only go up; `advance` skips ahead. The date follows the
    machine's, plus the skips.
    """

    def __init__(self) -> None:
        self.skipped = 0.0

    def now(self) -> float:
        """Return the seconds on a scale of this clock alone."""
        return time.monotonic() + self.skipped

    def advance(self, seconds: float) -> None:
        """Skip ahead."""
        self.skipped += max(0.0, seconds)

    def _date(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.skipped)

    def stamp(self) -> str:
        """Return the date and time as 7.10 and later show them."""
        return self._date().strftime("%Y-%m-%d %H:%M:%S")

    def date_text(self) -> str:
        """Return the date alone."""
        return self._date().strftime("%Y-%m-%d")

    def time_text(self) -> str:
        """Return the time of day alone."""
        return self._date().strftime("%H:%M:%S")


class Expiring(Protocol):
    """The part of a table that a deadline needs."""

    @property
    def rows(self) -> dict[str, Row]:
        """The rows by their ids."""

    def remove(self, row: Row) -> None:
        """Take a row away."""


class Deadlines:
    """Removes rows whose `hidden["expires"]` has passed; an entry may be late,
    never early.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Expiring, Row]] = []
        self._numbers = itertools.count()
        self._compact_at = 1024

    def watch(self, table: Expiring, row: Row) -> None:
        """Remove the row when it expires; a later `expires` is found when the
        old one falls due.
        """
        watched = row.hidden.get("watched")
        if watched is None or row.hidden["expires"] < watched:
            self._push(table, row)

    def _push(self, table: Expiring, row: Row) -> None:
        row.hidden["watched"] = row.hidden["expires"]
        heapq.heappush(
            self._heap,
            (row.hidden["expires"], next(self._numbers), table, row),
        )
        if len(self._heap) > self._compact_at:
            self._heap = [
                entry for entry in self._heap if entry[3].id in entry[2].rows
            ]
            heapq.heapify(self._heap)
            self._compact_at = max(1024, 2 * len(self._heap))

    def settle(self) -> None:
        """Remove what has expired by now."""
        heap = self._heap
        now = self._clock.now()
        while heap and heap[0][0] <= now:
            _, _, table, row = heapq.heappop(heap)
            expires = row.hidden.get("expires")
            if row.id not in table.rows or expires is None:
                row.hidden.pop("watched", None)
            elif expires > now:
                self._push(table, row)
            else:
                table.remove(row)

    def clear(self) -> None:
        """Forget all, as a reboot does."""
        self._heap.clear()

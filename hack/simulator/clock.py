"""A router's own clock, which tests may push forward, and the rows that vanish
when their time has come.
"""

from __future__ import annotations

import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from simulator.row import Row

ISO_DATE = "%Y-%m-%d"
OLD_DATE = "%b/%d/%Y"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Seconds that only go up; `advance` skips ahead. The date follows the
    machine's, plus the skips, in the router's `zone`; one that was lost began
    at 1970 anew.
    """

    def __init__(self, date_format: str = ISO_DATE) -> None:
        self.skipped = 0.0
        self.date_format = date_format
        self.zone: tzinfo = UTC
        self._lost_at: float | None = None
        self._wrong = 0.0

    def now(self) -> float:
        """Return the seconds on a scale of this clock alone."""
        return time.monotonic() + self.skipped

    def advance(self, seconds: float) -> None:
        """Skip ahead."""
        self.skipped += max(0.0, seconds)

    @property
    def is_set(self) -> bool:
        """Whether the date is right."""
        return self._lost_at is None

    def shift(self, seconds: float) -> None:
        """Put the date wrong, ahead or (negative) behind; time goes on as
        before.
        """
        self._wrong += seconds

    def lose(self) -> None:
        """Forget the date, as a board without a battery does at its boot."""
        self._lost_at = self.now()

    def set_right(self) -> None:
        """Learn the date, as from an NTP server."""
        self._lost_at = None
        self._wrong = 0.0

    def utc(self) -> datetime:
        """Return the date and time in UTC, as far as the router knows."""
        if self._lost_at is not None:
            return EPOCH + timedelta(seconds=self.now() - self._lost_at)
        ahead = self.skipped + self._wrong
        return datetime.now(UTC) + timedelta(seconds=ahead)

    def local(self) -> datetime:
        """Return the date and time of the zone, without naming it."""
        return self.utc().astimezone(self.zone).replace(tzinfo=None)

    def offset_text(self) -> str:
        """Return how far the zone is from UTC, `+01:00`."""
        return self.utc().astimezone(self.zone).isoformat()[-6:]

    def stamp(self, ahead: float = 0.0) -> str:
        """Return the date and time, `ahead` seconds from now."""
        moment = self.local() + timedelta(seconds=ahead)
        return moment.strftime(f"{self.date_format} %H:%M:%S").lower()

    def date_text(self) -> str:
        """Return the date alone."""
        return self.local().strftime(self.date_format).lower()

    def time_text(self) -> str:
        """Return the time of day alone."""
        return self.local().strftime("%H:%M:%S")


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

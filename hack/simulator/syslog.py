"""The router's log, `/log`: what it and its scripts say."""

from __future__ import annotations

from simulator.clock import Clock
from simulator.menu import Menu, Property
from simulator.table import Table

LINES = 1000
"""Lines that the buffer in memory keeps (reference 4.16)."""

LEVELS = ("debug", "error", "info", "warning")

LOG = Menu(
    "/log",
    (
        Property("time", readonly=True),
        Property("topics", readonly=True),
        Property("message", readonly=True),
        Property("buffer", default="memory", readonly=True),
    ),
    verbs=frozenset(),
    volatile=True,
)


class SysLog:
    """Writes lines, the oldest of which go."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def write(self, topics: str, message: str) -> None:
        """Add a line."""
        rows = self._table.rows
        if len(rows) >= LINES:
            self._table.remove(next(iter(rows.values())))
        self._table.add(
            {
                "time": self._clock.stamp(),
                "topics": topics,
                "message": message,
            },
            locked=True,
        )

"""Safe mode (7.18 and later): what anybody changes while a session holds it is
undone, unless the holder lets it go in order.

A hold outlives its session by the time after which a router takes a
connection for dead. Changes are undone from a copy of the configuration that
was made when the hold began.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from simulator.clock import Clock
from simulator.row import Row
from simulator.table import Event, Saved, Table

TIMEOUT = 540.0
"""Seconds from the loss of the holder's connection until all is undone."""

HISTORY = 100
"""Changes that a router can undo; behind that many, safe mode ends and
nothing is undone.
"""


class SafeModeRouter(Protocol):
    """The part of the router that safe mode needs."""

    clock: Clock

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by the paths of their menus."""


@dataclass
class Hold:
    """Who holds safe mode, since which configuration."""

    session: int
    user: str
    saved: dict[str, list[Saved]]
    changes: int = 0
    undo_at: float | None = None
    stops: list[Callable[[], None]] = field(default_factory=list)


class SafeMode:
    """The one safe mode of a router."""

    def __init__(self, router: SafeModeRouter) -> None:
        self.router = router
        self.hold: Hold | None = None

    @property
    def user(self) -> str | None:
        """The router user whose session holds safe mode; None for nobody."""
        return self.hold.user if self.hold is not None else None

    def take(self, session: int, user: str) -> None:
        """Begin a hold; a hold that is there must have ended before."""
        saved = {table.menu.path: table.saved() for table in self._kept()}
        self.hold = Hold(session, user, saved)
        self.hold.stops = [
            table.subscribe(self._changed) for table in self._kept()
        ]

    def release(self) -> None:
        """End the hold and keep what was changed."""
        if self.hold is not None:
            for stop in self.hold.stops:
                stop()
        self.hold = None

    def unroll(self) -> None:
        """End the hold and undo what was changed."""
        hold = self.hold
        self.release()
        if hold is not None:
            for path, rows in hold.saved.items():
                self.router.tables[path].restore(rows)

    def lost(self, session: int) -> None:
        """Note that a session has ended: a hold of its own now runs out."""
        if self.hold is not None and self.hold.session == session:
            self.hold.undo_at = self.router.clock.now() + TIMEOUT

    def settle(self) -> None:
        """Undo the changes of a hold whose session is taken for dead by now."""
        hold = self.hold
        if hold is None or hold.undo_at is None:
            return
        if hold.undo_at <= self.router.clock.now():
            self.unroll()

    def _kept(self) -> list[Table]:
        return [
            table
            for table in self.router.tables.values()
            if not table.menu.volatile
        ]

    def _changed(self, _event: Event, row: Row) -> None:
        if self.hold is None or row.temporary:
            return
        self.hold.changes += 1
        if self.hold.changes > HISTORY:
            self.release()

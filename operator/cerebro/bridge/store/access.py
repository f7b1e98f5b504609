"""What the bridge must not lose of the records of access: which client has
access by which Session, and the records that are not written yet.

A part of `base`, whose promises hold here too. What a state and a record say
is `cerebro.bridge.records`' own; here both are text.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cerebro.bridge.store.entry import DAY

MAX_RECORDS = 500_000
"""Records that wait to be written; no further one is taken."""

RECORD_MEMORY = 30 * DAY
"""How long a record waits to be written before it is forgotten."""

ENDED_MEMORY = 60 * DAY
"""How long the state of a Session is kept whose access has ended, if no sweep
forgets it before.
"""


@dataclass(frozen=True, slots=True)
class AccessChange:
    """A change of what is known of a Session's access, with the records that
    it comes to.
    """

    uid: str
    """The UID of the Session."""

    before: str
    """The state from which it was decided; empty if there was none."""

    after: str
    """The state from now on."""

    is_open: bool
    """Whether the client has access from now on."""

    records: tuple[str, ...]


class WaitingRecord(NamedTuple):
    """A record that is not written yet."""

    seq: int
    """Its number; a later record has a higher one."""

    body: str


class AccessStore(Protocol):
    """Which records of access were made, and those that wait."""

    async def keep_accesses(
        self, changes: Sequence[AccessChange], now: int
    ) -> list[bool]:
        """Take changes, each with all of its records; return of each whether
        it was taken.

        A change whose `before` is not the state is not taken: somebody else
        was first. Raises ApiError 503 `records_full`: then none was taken.
        """
        ...

    async def accesses_of(self, uids: Collection[str]) -> dict[str, str]:
        """Return the states of those Sessions of which there is one, by UID."""
        ...

    async def open_accesses(self) -> dict[str, str]:
        """Return the states of all Sessions whose client has access, by UID."""
        ...

    async def waiting_records(self, limit: int) -> list[WaitingRecord]:
        """Return the records that are not written, oldest first, `limit` at
        most.
        """
        ...

    async def records_written(self, seqs: Sequence[int]) -> None:
        """Forget records that were written."""
        ...

    async def records_waiting(self) -> int:
        """Return how many records are not written."""
        ...

    async def swept_at(self) -> int:
        """Return when the last sweep over the finished Sessions began; 0 if
        there was none.
        """
        ...

    async def note_sweep(self, at: int, ended_before: int) -> None:
        """Note when a sweep began, and forget the states of accesses whose end
        was noted at `ended_before` or earlier.
        """
        ...

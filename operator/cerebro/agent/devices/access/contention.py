"""Rows that somebody else keeps changing: an old relay that still runs, a script (rule B10). Pure; times come in."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping

_SPAN, _REPAIRS = 600.0, 3


class ContentionTracker:
    """Counts repairs by client id: three in ten minutes, and the client waits for the resync interval."""

    def __init__(self) -> None:
        self._granted: set[str] = set()
        self._repairs: dict[str, deque[float]] = {}

    def note(
        self,
        repaired: Iterable[str],
        granted: Mapping[str, bool],
        ended: Collection[str],
        now: float,
        *,
        everything: bool,
    ) -> None:
        """Take what a pass did: client ids whose rows were missing or changed, of each looked at whether it is
        granted now, and those whose access ended.

        It is a repair when the client had been granted before, and was not ended since. `everything` says that
        all clients were looked at, so the others are gone.
        """
        for client in repaired:
            if client in self._granted:
                self._repairs.setdefault(client, deque(maxlen=_REPAIRS)).append(now)
        self._granted.difference_update(ended)
        self._repairs = {client: times for client, times in self._repairs.items() if client not in ended}
        self._granted |= {client for client, is_granted in granted.items() if is_granted}
        if everything:
            self._granted &= granted.keys()
        self._repairs = {client: times for client, times in self._repairs.items() if now - times[-1] < _SPAN}

    def contested(self, now: float) -> frozenset[str]:
        """Return the client ids that back off."""
        return frozenset(
            client
            for client, times in self._repairs.items()
            if len(times) == _REPAIRS and now - times[0] < _SPAN
        )

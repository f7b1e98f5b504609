"""What somebody else keeps changing: rows that an older relay or a script
undoes, and clients that the router logs in again after their end (rule B10).
Pure; times come in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from cerebro.agent.devices.often import SPAN, Times, note_event, often


class ContentionTracker:
    """Counts repairs by client id: after three in ten minutes the client waits
    for the resync interval.
    """

    def __init__(self) -> None:
        self._granted: set[str] = set()
        self._repairs: Times = {}
        self._logouts: Times = {}

    def note(
        self,
        repaired: Iterable[str],
        granted: Mapping[str, bool],
        ended: Collection[str],
        now: float,
        *,
        everything: bool,
    ) -> int:
        """Take in what a pass did, at `now` in monotonic seconds; return how
        many clients' rows somebody else had changed.

        `repaired` are the client ids whose rows were missing or changed;
        `granted` says of each that was looked at whether it is granted now;
        `ended` are those whose access ended. It is a repair only if the client
        had been granted before, and was not ended since. `everything` says
        that all clients were looked at: the others are gone.
        """

        drifted = self._granted.intersection(repaired)
        for client in drifted:
            note_event(self._repairs, client, now)

        self._granted.difference_update(ended)
        self._granted.update(
            client for client, is_granted in granted.items() if is_granted
        )

        if everything:
            self._granted.intersection_update(granted)

        self._repairs = {
            client: times
            for client, times in self._repairs.items()
            if client not in ended and now - times[-1] < SPAN
        }

        return len(drifted)

    def note_logouts(
        self, logged_out: Iterable[str], granted: Collection[str], now: float
    ) -> None:
        """Note which ended clients a pass logged out, by client id; whoever is
        granted again begins anew.
        """
        for client in logged_out:
            note_event(self._logouts, client, now)

        self._logouts = {
            client: times
            for client, times in self._logouts.items()
            if client not in granted and now - times[-1] < SPAN
        }

    def contested(self, now: float) -> frozenset[str]:
        """Return the client ids that back off at `now`, in monotonic seconds."""
        return often(self._repairs, now)

    def logged_in_again(self, now: float) -> frozenset[str]:
        """Return the client ids that the router keeps logging in at `now`."""
        return often(self._logouts, now)

"""When the loop of a Hub compares its interface next, and how widely. Pure:
the loop passes the times in.

All times are seconds of the monotonic clock, all durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

LEAST_PAUSE = 5.0
"""Between two passes that find nothing to do, at least."""
PAUSE_SHARE = 50
"""A pause is so many times as long as the last pass: looking takes at most a
fiftieth of the time.
"""
LONGEST_REST = 2.0
"""After a pass the loop rests as long as the pass took, at most this long:
passes after changes take half the time.
"""
RETRY = 1.0
LONGEST_RETRY = 30.0
LASTING = 1.0
"""After so many seconds without a look at the interface a failure is reported
on all Peers.
"""
SHORTEST_WAIT = 0.05

_MOST_FAILURES = 8
"""More failures in a row change nothing any more: the retry has its longest
delay.
"""


@dataclass(slots=True)
class HubSchedule:
    """What is due for one Hub. The loop says what happened, and asks what is
    due.
    """

    resync_at: float = 0.0
    """When the next resync is due."""
    answered: str | None = None
    """The request for a resync (annotation `resync-at`) that the last resync
    answered.
    """
    failures: int = 0
    """Passes that failed in a row; it stops counting at eight."""
    failing_since: float = 0.0
    """When the first of them failed; counts only with `failures`."""
    took: float = 0.0
    """How long the last pass took that did not end in an error."""

    def resync_due(self, request: str | None, now: float) -> bool:
        """Return whether the next pass is a resync, which also looks up anew
        what was looked up before.

        `request` is the value of the Hub's annotation `resync-at`: any new
        value asks for a resync.
        """
        return now >= self.resync_at or request != self.answered

    def resynced(
        self, request: str | None, now: float, interval: float
    ) -> None:
        """Note that a resync which began at `now` was made; the next one is
        due after `interval`.
        """
        self.resync_at = now + interval
        self.answered = request

    def failed(self, now: float) -> float:
        """Note that a pass failed; return the seconds until the next try."""
        if self.failures == 0:
            self.failing_since = now

        self.failures = min(self.failures + 1, _MOST_FAILURES)

        return min(LONGEST_RETRY, RETRY * 2.0**self.failures)

    def failure_lasts(self, now: float) -> bool:
        """Return whether passes have failed for so long that all Peers report
        it.
        """
        return self.failures > 0 and now - self.failing_since >= LASTING

    def succeeded(self) -> None:
        """Note that a pass had nothing in its way."""
        self.failures = 0

    def ended(self, seconds: float) -> None:
        """Note how long a pass took that did not end in an error."""
        self.took = seconds

    def next_pass(
        self,
        now: float,
        *,
        unfinished: bool,
        removals_at: float | None = None,
    ) -> float:
        """Return the seconds until the next pass after one that had nothing in
        its way.

        `unfinished`: something is left that the next pass can do, such as a
        Peer whose key is being noted. `removals_at`: when keys of deleted
        Peers may go (rule E13).
        """

        until_resync = self.resync_at - now
        pause = max(LEAST_PAUSE, PAUSE_SHARE * self.took)
        delay = RETRY if unfinished else min(until_resync, pause)

        if removals_at is not None:
            delay = min(delay, removals_at - now)

        return max(SHORTEST_WAIT, delay)

    def rest(self) -> float:
        """Return the seconds that the loop rests after a pass, whatever
        changed meanwhile.
        """
        return min(LONGEST_REST, self.took)


def wait(delay: float, heartbeat: float) -> float:
    """Return the seconds to wait for a change: `delay`, cut so that the loop
    is seen to turn (rule E11).
    """
    return max(SHORTEST_WAIT, min(delay, heartbeat))

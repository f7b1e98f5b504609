"""A router's clock that jumped ahead: by how much the guard there is behind it.
Pure; times come in.

The guard goes on by the uptime then (see `guard_script`). What is told here is
what the looks at the clock show: a jump from before the first of them is not
seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cerebro.agent.devices.model import RouterClock
from cerebro.routeros.configuration.guard_script import BELIEVED_AFTER

_INACCURACY = 10
"""Seconds by which clock and uptime may differ more from one look to the next:
both are read in whole seconds, and not at the same moment.
"""


@dataclass(frozen=True, slots=True)
class Boot:
    """When a router started, in Unix seconds."""

    at: int
    """By the clock that the guard goes by."""

    shown: int
    """By the clock of the last look."""

    uptime: int
    looked_at: float
    """When that look was, in monotonic seconds."""

    since: float
    """From when on the clock goes evenly, in monotonic seconds."""

    @property
    def late(self) -> int:
        """Seconds by which the guard is behind the clock."""
        return max(0, self.shown - self.at)


def next_boot(
    before: Boot | None, clock: RouterClock, now: float
) -> Boot | None:
    """Return what a look says, by what the one before it said; that one again
    if the router did not say its uptime.
    """
    if clock.uptime is None or clock.booted is None:
        return before

    anew = Boot(clock.booted, clock.booted, clock.uptime, now, now)
    if before is None:
        return anew

    passed = now - before.looked_at
    if clock.uptime < before.uptime + passed - _INACCURACY:
        return anew

    if clock.booted - before.at <= _INACCURACY:
        return anew

    is_even = abs(clock.booted - before.shown) <= _INACCURACY
    has_ntp = clock.ntp == "Synchronized"
    since = before.since if is_even and has_ntp else now
    if now - since > BELIEVED_AFTER:
        return anew

    return replace(anew, at=before.at, since=since)

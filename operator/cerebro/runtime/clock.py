"""The clocks of the processes. What decides does not read them: it is given
times, see `times.py`.
"""

from __future__ import annotations

import time

from cerebro.runtime.times import (
    BootTime,
    Milliseconds,
    Monotonic,
    UnixSeconds,
)


def monotonic() -> Monotonic:
    """Return the time of this process's monotonic clock."""
    return Monotonic(time.monotonic())


def boottime() -> BootTime:
    """Return the seconds since the node's start.

    The clock goes on while the node is suspended: the clocks of other nodes do
    too, so a Lease that ran out meanwhile is not taken for held.
    """
    return BootTime(time.clock_gettime(time.CLOCK_BOOTTIME))


def unix_seconds() -> UnixSeconds:
    """Return the wall clock's time in seconds since 1970."""
    return UnixSeconds(time.time())


def now_ms() -> Milliseconds:
    """Return the wall clock's time in milliseconds since 1970."""
    return Milliseconds(time.time_ns() // 1_000_000)

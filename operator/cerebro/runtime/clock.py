"""The clocks of the processes, and a type for the time of each, so that no two of them are mixed up.

| type | clock | for |
| --- | --- | --- |
| `Monotonic` | CLOCK_MONOTONIC, of one process | waits, ages, deadlines of requests |
| `BootTime` | CLOCK_BOOTTIME, of one node | Leases and the keeper's deadlines (rules E1, E4) |
| `UnixSeconds` | the wall clock | handshakes of WireGuard, markers on routers |
| `Milliseconds` | the wall clock | the bridge's store and signatures |

Times in objects of Kubernetes are `datetime`, always aware and in UTC.
"""

from __future__ import annotations

import time
from typing import NewType

Monotonic = NewType("Monotonic", float)
"""Seconds of a clock that nobody sets and that stands still while the node is suspended."""

BootTime = NewType("BootTime", float)
"""Seconds since the node's start, the time in which it was suspended included: one clock for all processes of
a node, which nobody sets."""

UnixSeconds = NewType("UnixSeconds", float)
"""Seconds since 1970 by the wall clock."""

Milliseconds = NewType("Milliseconds", int)
"""Milliseconds since 1970 by the wall clock."""


def monotonic() -> Monotonic:
    """Return the time of this process's monotonic clock."""
    return Monotonic(time.monotonic())


def boottime() -> BootTime:
    """Return the seconds since the node's start.

    The clock goes on while the node is suspended: the clocks of other nodes do too, so a Lease that ran out
    meanwhile is not taken for held.
    """
    return BootTime(time.clock_gettime(time.CLOCK_BOOTTIME))


def unix_seconds() -> UnixSeconds:
    """Return the wall clock's time in seconds since 1970."""
    return UnixSeconds(time.time())


def now_ms() -> Milliseconds:
    """Return the wall clock's time in milliseconds since 1970."""
    return Milliseconds(time.time_ns() // 1_000_000)

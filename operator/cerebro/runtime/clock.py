"""The clock of Leases and of the keeper's deadlines (rules E1, E4): one for all processes of a node.

Nobody sets it, and it goes on while the node is suspended: others' clocks do too.
"""

from __future__ import annotations

import time


def boottime() -> float:
    """Return the seconds since the node's start."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000

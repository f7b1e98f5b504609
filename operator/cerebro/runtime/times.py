"""A type for the time of each clock, so that no two of them are mixed up.
Pure; the clocks are in `clock.py`.

| type | clock | for |
| --- | --- | --- |
| `Monotonic` | CLOCK_MONOTONIC, of one process | waits, ages, deadlines of requests |
| `BootTime` | CLOCK_BOOTTIME, of one node | Leases and the keeper's deadlines (rules E1, E4) |
| `UnixSeconds` | the wall clock | handshakes of WireGuard, markers on routers |
| `Milliseconds` | the wall clock | the bridge's store and signatures |

Times in objects of Kubernetes are `datetime`, always aware and in UTC.
"""

from __future__ import annotations

from typing import NewType

Monotonic = NewType("Monotonic", float)
"""Seconds of a clock that nobody sets and that stands still while the node is
suspended.
"""

BootTime = NewType("BootTime", float)
"""Seconds since the node's start, the time in which it was suspended included:
one clock for all processes of a node, which nobody sets.
"""

UnixSeconds = NewType("UnixSeconds", float)
"""Seconds since 1970 by the wall clock."""

Milliseconds = NewType("Milliseconds", int)
"""Milliseconds since 1970 by the wall clock."""

"""What happens so often that somebody else must be at work: three times in ten
minutes (rule B10). Pure; times come in.
"""

from __future__ import annotations

from collections import deque

SPAN, _TIMES = 600.0, 3

Times = dict[str, deque[float]]
"""By client id, or the name of a row: monotonic seconds of the latest events
that count.
"""


def note_event(events: Times, name: str, now: float) -> None:
    """Note one more event."""
    events.setdefault(name, deque(maxlen=_TIMES)).append(now)


def often(events: Times, now: float) -> frozenset[str]:
    """Return the names with as many events in the span as count as a fight."""
    return frozenset(
        name
        for name, times in events.items()
        if len(times) == _TIMES and now - times[0] < SPAN
    )

"""How many Events a process writes: so few that the API server does not notice
them beside the work itself. Pure; times are passed in.

A Session that is let in costs two writes, its creation and its status. Of two
thousand that come at once, the Events add some dozens of writes, not two
thousand.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

PER_OBJECT, PER_OBJECT_EVERY = 10, 60.0
"""Events about an object that may come at once; after them one in so many
seconds.
"""

PER_KIND, PER_KIND_EVERY = 25, 1.0
"""The same for all Events of a process that are about a kind and of a type:
troubles have room also while much goes well.
"""

_OBJECTS = 2000
"""Objects whose Events are counted; those that were told of longest ago are
forgotten.
"""


class Limits:
    """The limits of one process."""

    def __init__(self) -> None:
        self._objects = _Buckets(PER_OBJECT, PER_OBJECT_EVERY, _OBJECTS)
        self._kinds = _Buckets(PER_KIND, PER_KIND_EVERY, _OBJECTS)

    def take(self, uid: str, kind: str, type_: str, now: float) -> bool:
        """Return whether an Event about an object may be written now, in
        seconds of the monotonic clock; it counts then.
        """
        if not self._objects.has(uid, now):
            return False

        if not self._kinds.has((kind, type_), now):
            return False

        self._objects.take(uid, now)
        self._kinds.take((kind, type_), now)

        return True


class _Buckets:
    """A bucket of tokens for each key, full at first."""

    def __init__(self, size: int, every: float, keys: int) -> None:
        """A bucket gets a token each `every` seconds until it has `size`;
        `keys` buckets are remembered.
        """
        self._size = size
        self._every = every
        self._keys = keys
        self._levels: OrderedDict[Hashable, tuple[float, float]] = (
            OrderedDict()
        )
        """Tokens, and when they were counted."""

    def has(self, key: Hashable, now: float) -> bool:
        """Return whether a token is in the bucket."""
        return self._level(key, now) >= 1

    def take(self, key: Hashable, now: float) -> None:
        """Take a token out of the bucket."""
        self._levels[key] = (self._level(key, now) - 1, now)
        self._levels.move_to_end(key)

        if len(self._levels) > self._keys:
            self._levels.popitem(last=False)

    def _level(self, key: Hashable, now: float) -> float:
        tokens, counted_at = self._levels.get(key, (float(self._size), now))
        earned = (now - counted_at) / self._every

        return min(self._size, tokens + earned)

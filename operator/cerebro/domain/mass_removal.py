"""What a mass removal is, which removals wait for it, and the annotation that
confirms it (rule E13). Pure: times are passed in.

Many clients of a router, or many peers of a Hub, that would go within a minute
are perhaps objects that somebody deleted by mistake. Objects are deleted one by
one, by `kubectl` and by Git operators alike: no look sees many of them. So what
went within the last minute counts too, and nobody goes before some seconds
have shown whether more lose their object.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Set
from dataclasses import dataclass

from cerebro.resources import Device

CONFIRM_REMOVAL = "relay.cerebro.dev/confirm-removal"
"""Annotation of a Device or Hub. Its value is how many a person lets go at
once.
"""

SETTLE = 3.0
"""Seconds that a client or peer keeps what it has after its object was
deleted: they show whether more are deleted.
"""

WINDOW = 60.0
"""Seconds in which removals count together."""

_AT_LEAST = 10
_SHARE = 5  # more than a fifth
_MOST_DIGITS = 8

_APART = 1.0
"""Seconds between two looks for the sake of removals alone, at least: of a
trickle, many go with one look.
"""

_MOST_NOTES = 10_000
"""So many deletions are noted before a look. Any further one counts from when
a look shows it.
"""


def is_mass_removal(going: int, present: int) -> bool:
    """Return whether so many of those that are present go at once that a
    person has to confirm it: ten or more, and more than a fifth.
    """
    return going >= _AT_LEAST and going * _SHARE > present


def until_confirmed(number: int) -> str:
    """Return the end of the message that says which annotation lets a mass
    removal of `number` go on.
    """
    return (
        f'until the annotation {CONFIRM_REMOVAL}: "{number}" says that this many may go; take it away afterwards, '
        "for it goes on letting up to that many go"
    )


def confirmed_removals(device: Device) -> int:
    """Return how many clients of a Device a person lets a mass removal end; 0
    if the annotation is no number.
    """
    value = device.metadata.annotations.get(CONFIRM_REMOVAL, "")
    is_number = value.isdecimal() and len(value) <= _MOST_DIGITS

    return int(value) if is_number else 0


@dataclass(frozen=True, slots=True)
class RemovalDecision:
    """Which of those that no object names any more go now."""

    going: frozenset[str] = frozenset()
    """Keys that go now, also those that began to go at an earlier look."""

    held: frozenset[str] = frozenset()
    """Keys that wait until a person confirms their number."""

    look_again_at: float | None = None
    """When to look again although nothing changed; None: nothing waits for
    its time.
    """


@dataclass(frozen=True, slots=True)
class _Removal:
    """A removal of the last minute."""

    at: float
    """When a look last let it go on."""

    word: int | None
    """The number in the annotation that confirmed it; None: it was no part of
    a mass removal.
    """


@dataclass(slots=True)
class _Count:
    """What the removals of the last minute come to."""

    unconfirmed: int = 0
    """Those that were no part of a mass removal."""

    spent: int = 0
    """How many the present annotation has let go."""

    renews_at: float | None = None
    """When the first of those no longer counts."""

    present: int = 0
    """How many there were before the unconfirmed removals, without those that
    a person let go.
    """


class RemovalWindow:
    """Remembers who lost its object and who went, for one router or one Hub,
    and decides who goes now.

    The keys are client ids or public keys. Each of `lost` and `revoked` costs
    the same whatever else is remembered; a `decide` grows with the keys that
    it is given and with the removals of a minute. All times are seconds of the
    monotonic clock. `settle` is how long a key stays after its object went.
    """

    def __init__(self, settle: float = SETTLE) -> None:
        self._settle = settle

        self._waiting: OrderedDict[str, float] = OrderedDict()
        """Since when keys have no object, the earliest first."""

        self._held: set[str] = set()
        """Keys that wait for a person."""

        self._revoked: dict[str, float] = {}
        """When the object of a key was deleted after a person had ended it."""

        self._removals: OrderedDict[str, _Removal] = OrderedDict()
        """What went within the last minute, or has begun to go and is still
        there; the latest one last.
        """

    @property
    def going(self) -> frozenset[str]:
        """The keys that go without a further decision."""
        return frozenset((*self._removals, *self._revoked))

    @property
    def held(self) -> frozenset[str]:
        """The keys that the last decision let wait for a person."""
        return frozenset(self._held)

    # --- what happens between two looks

    def lost(self, keys: Iterable[str], now: float) -> float:
        """Note that the object behind some keys was deleted; return when to
        look for them.
        """
        for key in keys:
            self._revoked.pop(key, None)

            if len(self._waiting) < _MOST_NOTES:
                self._waiting[key] = now
                self._waiting.move_to_end(key)

        return now + self._settle

    def revoked(self, keys: Iterable[str], now: float) -> None:
        """Note that the object behind some keys was revoked and is deleted by
        now: they go at once, and do not count.
        """
        for key in keys:
            self._waiting.pop(key, None)

            if len(self._revoked) < _MOST_NOTES:
                self._revoked[key] = now

    # --- a look

    def decide(
        self,
        ownerless: Set[str],
        present: Set[str],
        *,
        now: float,
        known_at: float,
        confirmed: int = 0,
        at_once: Set[str] = frozenset(),
    ) -> RemovalDecision:
        """Return what goes now.

        `ownerless` are all keys that no object explains, by the objects as
        they were at `known_at`; `present` all keys that exist, also those.
        `confirmed` is the number in the annotation. `at_once` are keys that
        count, and do not wait to see whether more are deleted.
        """

        # Who has to be decided about. A revoked client is none of them, and
        # what an earlier look let go goes on: its rows may be half gone.
        revoked = ownerless & self._revoked.keys()
        continued = (ownerless & self._removals.keys()) - revoked
        candidates = frozenset(ownerless - revoked - continued)

        # What is remembered follows what there is.
        self._go({key: self._removals[key].word for key in continued}, now=now)
        self._forget_owned(ownerless, candidates, known_at)
        self._forget_old(now)

        # A key without a note is met by this look: it waits from now on.
        for key in candidates - self._held:
            self._waiting.setdefault(key, now)

        # Whether a person has to confirm it, and has. Those that wait count
        # with those that went: a trickle is seen whole.
        count = self._count(present, confirmed)
        is_mass = is_mass_removal(
            count.unconfirmed + len(candidates), count.present
        )
        needs_word = is_mass or bool(self._held)
        has_word = needs_word and count.spent + len(candidates) <= confirmed

        # Who goes. What waits with a mass removal waits until it is confirmed,
        # however small the rest becomes.
        settled = self._settled(candidates, now) | (candidates & at_once)
        chosen: Set[str] = frozenset()

        if has_word:
            chosen = settled | self._held
        elif is_mass:
            self._held = set(candidates)
        else:
            chosen = settled - self._held

        self._go(
            dict.fromkeys(chosen, confirmed if has_word else None), now=now
        )

        # These wait for a person, no longer for their time.
        for key in self._held:
            self._waiting.pop(key, None)

        return RemovalDecision(
            going=frozenset(revoked | continued | chosen),
            held=self.held,
            look_again_at=self._look_again_at(count, confirmed, now),
        )

    def _go(self, words: dict[str, int | None], *, now: float) -> None:
        """Note that these keys go, with the number that confirmed each.

        A key that goes on counts as of now: it is forgotten a minute after it
        was seen last.
        """
        for key, word in words.items():
            self._removals[key] = _Removal(now, word)
            self._removals.move_to_end(key)

            self._waiting.pop(key, None)
            self._held.discard(key)

    def _forget_owned(
        self, ownerless: Set[str], candidates: Set[str], known_at: float
    ) -> None:
        """Forget the notes of keys that have an object again, or are gone; a
        note that is newer than what the look knows stays.
        """
        self._held &= candidates

        for key, since in list(self._waiting.items()):
            if key not in candidates and since <= known_at:
                del self._waiting[key]

        for key, since in list(self._revoked.items()):
            if key not in ownerless and since <= known_at:
                del self._revoked[key]

    def _forget_old(self, now: float) -> None:
        """Forget the removals that no longer count."""
        while self._removals:
            key, removal = next(iter(self._removals.items()))

            if now - removal.at < WINDOW:
                return

            del self._removals[key]

    def _count(self, present: Set[str], confirmed: int) -> _Count:
        """Count the removals of the last minute."""
        count = _Count(present=len(present))

        for key, removal in self._removals.items():
            if removal.word is None:
                # Whoever went was here before.
                count.unconfirmed += 1
                count.present += key not in present
                continue

            count.present -= key in present

            # A new number is a new word of a person: what an earlier number
            # let go is not taken off the new one. So the number that the
            # message gives is always enough.
            if removal.word == confirmed:
                count.spent += 1
                count.renews_at = count.renews_at or removal.at + WINDOW

        return count

    def _settled(self, candidates: Set[str], now: float) -> frozenset[str]:
        """Return the keys that have waited long enough."""
        settled: list[str] = []

        for key, since in self._waiting.items():
            if now < since + self._settle:
                break

            if key in candidates:
                settled.append(key)

        return frozenset(settled)

    def _look_again_at(
        self, count: _Count, confirmed: int, now: float
    ) -> float | None:
        """Return when time alone may let something go that stays now."""
        times: list[float] = []

        # What waits to see whether more lose their object.
        if self._waiting:
            first = next(iter(self._waiting.values()))
            times.append(max(first + self._settle, now + _APART))

        # An annotation that stays confirms as many again a minute later.
        may_do = 0 < len(self._held) <= confirmed
        if may_do and count.renews_at is not None:
            times.append(max(count.renews_at, now + _APART))

        return min(times, default=None)

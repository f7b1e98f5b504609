"""The unfinished Sessions of one Device as they count, looked up by UID, by
client, and by when the clock changes them. Pure.

Whoever asks about some clients pays for these alone, however many Sessions the
router has: 2,000 phones on one router cost each new order what ten do. Whoever
owns a roster lets a Session join again when anything of it changed; the roster
itself looks at no store and no clock.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cerebro.agent.devices.access.clients import known_by, user_keys
from cerebro.resources import Session, reasons
from cerebro.routeros.access.read import Scope
from cerebro.routeros.access.user_model import user_key

_SPARE_WAKES = 64
"""Instants of Sessions that went, or changed, which the heap may hold beside
twice as many as there are Sessions.
"""


@dataclass(slots=True)
class _Member:
    session: Session
    keys: tuple[str, ...]
    """MACs and addresses of its client, and of the one that it named before,
    and the key of its hotspot user.
    """

    wake_at: datetime | None


class Roster:
    """Sessions of one Device. Joining and leaving cost the same however many
    there are; the heap of instants adds a logarithm.
    """

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._uids: dict[str, tuple[str, ...]] = {}
        """UIDs by MAC, by address and by the key of a hotspot user."""
        self._wakes: list[tuple[datetime, str]] = []
        """A heap; an instant that its Session no longer has does not count."""
        self._phases: Counter[str | None] = Counter()
        self._held_by_clock: set[str] = set()
        self._with_user: dict[str, None] = {}
        """UIDs of the Sessions that name a hotspot user."""

    @classmethod
    def of(cls, sessions: Iterable[Session]) -> Roster:
        """Return a roster of these Sessions, which the clock never changes."""
        roster = cls()

        for session in sessions:
            roster.join(session)

        return roster

    def join(self, session: Session, wake_at: datetime | None = None) -> None:
        """Take a Session, in place of what it was before.

        `wake_at` (aware) is when the clock changes what the Session is to be;
        None: never. Everything about the Session that is looked up is computed
        here, once for each change.
        """
        uid = session.metadata.uid
        before = self._members.get(uid)
        self.leave(uid)

        member = _Member(session, _keys(session), wake_at)
        self._members[uid] = member
        self._phases[session.status.phase] += 1

        for key in member.keys:
            self._uids[key] = (*self._uids.get(key, ()), uid)

        if session.spec.hotspot_user is not None:
            self._with_user[uid] = None

        ready = session.status.condition("Ready")

        if ready is not None and ready.reason == reasons.CLOCK_SKEW:
            self._held_by_clock.add(uid)

        known = before is not None and before.wake_at == wake_at

        if wake_at is not None and not known:
            self._push(wake_at, uid)

    def leave(self, uid: str) -> None:
        """Forget a Session; one that is not here is forgotten already."""
        member = self._members.pop(uid, None)

        if member is None:
            return

        self._phases[member.session.status.phase] -= 1
        self._held_by_clock.discard(uid)
        self._with_user.pop(uid, None)

        for key in member.keys:
            others = tuple(each for each in self._uids[key] if each != uid)

            if others:
                self._uids[key] = others
            else:
                del self._uids[key]

    # --- look-ups

    def get(self, uid: str) -> Session | None:
        """Return a Session by its UID; None if it is not here."""
        member = self._members.get(uid)

        return None if member is None else member.session

    def some(self, uids: Iterable[str]) -> list[Session]:
        """Return the Sessions with these UIDs that are here, in that order."""
        members = (self._members.get(uid) for uid in uids)

        return [member.session for member in members if member is not None]

    def all(self) -> list[Session]:
        """Return all Sessions."""
        return [member.session for member in self._members.values()]

    def within(self, scope: Scope) -> list[Session]:
        """Return the Sessions whose client, or the client that it named
        before, is in a scope; each once.

        They are those of `in_scope`, without a look at the others.
        """
        uids = {
            uid: None
            for key in (*sorted(scope.macs), *sorted(scope.ips))
            for uid in self._uids.get(key, ())
        }

        return [self._members[uid].session for uid in uids]

    def with_user(self) -> list[Session]:
        """Return the Sessions that name a hotspot user."""
        return [self._members[uid].session for uid in self._with_user]

    def of_user(self, name: str) -> list[Session]:
        """Return the Sessions that name this hotspot user."""
        uids = self._uids.get(user_key(name), ())

        return [self._members[uid].session for uid in uids]

    def count(self, phase: str) -> int:
        """Return how many Sessions are in a phase."""
        return self._phases[phase]

    # --- the clock

    @property
    def held_by_clock(self) -> list[Session]:
        """The Sessions whose status says that our clock is not right (A9).

        They are let in as soon as it is, whatever instants they have.
        """
        return [self._members[uid].session for uid in self._held_by_clock]

    def take_due(self, now: datetime) -> list[Session]:
        """Return the Sessions that the clock has changed by `now`.

        Each instant is told once. Whoever takes a Session decides what it is
        from now on, and lets it join again.
        """
        due: dict[str, Session] = {}

        while self._wakes and self._wakes[0][0] <= now:
            wake_at, uid = heapq.heappop(self._wakes)
            member = self._members.get(uid)

            if member is not None and member.wake_at == wake_at:
                member.wake_at = None
                due[uid] = member.session

        return list(due.values())

    def overdue(self, uid: str, now: datetime) -> datetime | None:
        """Return the instant of a Session that has passed by `now` and that
        nobody took; None if there is none.
        """
        member = self._members.get(uid)
        wake_at = None if member is None else member.wake_at

        return wake_at if wake_at is not None and wake_at <= now else None

    def next_wake(self) -> datetime | None:
        """Return when the clock next changes a Session; None: never.

        An instant that has passed and was not taken is returned too.
        """
        while self._wakes:
            wake_at, uid = self._wakes[0]
            member = self._members.get(uid)

            if member is not None and member.wake_at == wake_at:
                return wake_at

            heapq.heappop(self._wakes)

        return None

    def pending_wakes(self) -> int:
        """Return how many instants are held, those that no longer count too."""
        return len(self._wakes)

    def _push(self, wake_at: datetime, uid: str) -> None:
        most = 2 * len(self._members) + _SPARE_WAKES

        if len(self._wakes) >= most:
            self._wakes = [
                (member.wake_at, each)
                for each, member in self._members.items()
                if member.wake_at is not None
            ]

            heapq.heapify(self._wakes)

            return

        heapq.heappush(self._wakes, (wake_at, uid))


def _keys(session: Session) -> tuple[str, ...]:
    macs, ips = known_by(session)

    return (*macs, *ips, *user_keys(session))

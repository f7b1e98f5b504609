"""What a pass is about: which Sessions, and whose clients. Pure.

A pass over some clients widens its scope where the router's rows show that
more clients are concerned.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cerebro.agent.devices.access.desired import (
    PassContext,
    ends_rows_of_others,
    in_scope,
    judge_all,
    scope_of,
)
from cerebro.agent.devices.access.roster import Roster
from cerebro.resources import Session
from cerebro.routeros.access.model import AccessPolicy
from cerebro.routeros.access.read import Scope
from cerebro.routeros.access.tables import Actual
from cerebro.routeros.menus.menu import Row


@dataclass
class Subject:
    """What a pass is about; each round may narrow or widen it."""

    roster: Roster
    """All Sessions of the Device."""

    changed: list[Session] | None
    """Those at whose clients the pass looks; None: at everything."""

    pins: dict[str, Session] = field(default_factory=dict)
    """Sessions as they count in this pass, by UID, in place of those of the
    roster.
    """

    scope: Scope = field(default_factory=Scope)
    """The clients at which the last round looked: the next one looks at no
    fewer.
    """

    hosts: tuple[Row, ...] = ()
    """Hosts that earlier rounds have read."""

    def chosen(self, scope: Scope | None) -> list[Session]:
        """Return the Sessions that are to be decided about, each once.

        They are those that changed, also where they name no client, and those
        of the scope's clients: who shares a client shares its rows (rule B3).
        Without a scope they are all.
        """
        if scope is None or self.changed is None:
            return [self._as_pinned(session) for session in self.roster.all()]

        sessions = [*self.changed, *self.within(scope)]
        by_uid = {session.metadata.uid: session for session in sessions}

        return list(by_uid.values())

    def within(self, scope: Scope) -> list[Session]:
        """Return the Sessions whose clients are in a scope, as they count in
        this pass; each once.
        """
        sessions = map(self._as_pinned, self.roster.within(scope))
        by_uid = {session.metadata.uid: session for session in sessions}

        # A pinned Session is known by more than the roster knows.
        for uid, session in self.pins.items():
            if in_scope(session, scope):
                by_uid[uid] = session

        return list(by_uid.values())

    def live_users(self, actual: Actual, at: PassContext) -> frozenset[str]:
        """Return the names of the users that are logged in, or have a cookie,
        and that a live Session wants.
        """
        names = {
            row["user"]
            for row in (*actual.active, *actual.cookies)
            if row.get("user")
        }

        return frozenset(
            name
            for name in names
            if any(
                decision.verdict.live
                for decision in judge_all(
                    self.roster.of_user(name), None, AccessPolicy(), at
                )
            )
        )

    def pin(self, pins: dict[str, Session]) -> None:
        """Take these Sessions, by UID, in place of theirs."""
        self.pins.update(pins)

        if self.changed is not None:
            self.changed = [
                self._as_pinned(session) for session in self.changed
            ]

    def _as_pinned(self, session: Session) -> Session:
        return self.pins.get(session.metadata.uid, session)


def widened(scope: Scope, actual: Actual, subject: Subject) -> Scope | None:
    """Return the scope with the clients that its rows show, if that is more to
    read; else None.
    """

    met = scope.met(actual.hosts)
    ends_others = any(map(ends_rows_of_others, subject.chosen(scope)))

    if ends_others:
        met = met.joined(actual) | scope_of(subject.within(met))

    new_client = any(
        not in_scope(session, scope) for session in subject.within(met)
    )

    new_rows = ends_others and met != scope

    return met if new_client or new_rows else None

"""The hotspot users that the Sessions of a Device name: when a pass over them
is due, what it is about, and what came of it.

It follows the pass over access, so that no client waits for a Secret or for
somebody else's user (rule B0). Nothing is read from a router none of whose
Sessions has a user, once a look by our marker showed that none of ours is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from cerebro.agent.devices.access.desired import SessionDecision
from cerebro.agent.devices.access.outcome import PassResult, UserOutcome
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.access.roster import Roster
from cerebro.agent.devices.users.desired import user_name
from cerebro.agent.devices.users.memory import UserMemory
from cerebro.agent.devices.users.outcome import (
    Secrets,
    UsersResult,
    unread_outcomes,
    without_password,
)
from cerebro.agent.devices.users.reading import UsersGaveWay, UsersUnread
from cerebro.agent.devices.users.work import (
    ReadPasswords,
    UsersPass,
    UsersSubject,
)
from cerebro.domain.mass_removal import RemovalWindow
from cerebro.resources import Session
from cerebro.routeros.access.result import ADD
from cerebro.runtime.pace import Pace, gather

_FIRST_RETRY = 1.0
_LONGEST_RETRY = 60.0
"""Seconds until a Session is looked at again whose Secret could not be used,
or whose user the router refused: twice as long each time.
"""


class DeviceUsers:
    """The hotspot users of one Device, and what is remembered of them."""

    def __init__(
        self,
        session_changed: Callable[[str], None],
        removals: RemovalWindow | None = None,
    ) -> None:
        """`session_changed(uid)` has the loop look at a Session again, whose
        user waits for a person. `removals` decides which users go that no
        Session explains (rule E13).
        """
        self.removals = removals or RemovalWindow()
        self._session_changed = session_changed
        self._memory = UserMemory(self.removals)

        self._retries: dict[str, float] = {}
        """How long the next wait of a Session is, by UID."""
        self._waiting: set[str] = set()
        """UIDs of Sessions that are looked at again for that."""
        self._names: dict[str, str] = {}
        """The user that each Session named at the last pass, by UID."""
        self._connection: object = None
        """The connection on which users of ours were looked for last."""
        self._ours_left = True
        """Whether a user of ours may be there that no Session names."""

    async def take(
        self,
        reconciler: AccessReconciler,
        roster: Roster,
        result: PassResult,
        read_passwords: ReadPasswords,
        *,
        everything: bool,
    ) -> PassResult:
        """Make the router's users equal to those of the Sessions at which a
        pass over access looked, and return its result with what came of that.

        `everything` says that it looked at all of them. Raises RouterError
        when the connection is lost.
        """
        # The pass over access has just gone through all Sessions.
        await asyncio.sleep(0)

        if reconciler.session is not self._connection:
            self._connection = reconciler.session
            self._ours_left = True

        subject = self._subject(roster, result.judged, everything=everything)
        is_due = everything and self._ours_left

        if result.interrupted or not (subject.names or is_due):
            return result

        work = UsersPass(subject, reconciler, roster, self._memory)

        try:
            users = await work.run(read_passwords)
        except UsersGaveWay:
            return replace(result, interrupted=True, settled=False)
        except UsersUnread as error:
            outcomes = unread_outcomes(subject.chosen, str(error))

            return replace(result, users=outcomes, settled=False)

        # Each goes through all Sessions: others run in between.
        pace = Pace()
        outcomes = dict(await gather(users.outcomes()))
        self._note_looked(subject, users)
        await pace.breathe()
        self._retry_waiting(users)
        await pace.breathe()

        return self._joined(result, users, outcomes)

    def _subject(
        self,
        roster: Roster,
        decisions: Iterable[SessionDecision],
        *,
        everything: bool,
    ) -> UsersSubject:
        """Return what the pass is about: the Sessions at which the pass over
        access looked, and who shares a user with them, or with whom they
        shared one before.
        """
        known = {each.session.metadata.uid: each for each in decisions}
        former = set()

        for uid, decision in known.items():
            before = self._names.get(uid, "")

            if before != user_name(decision.session):
                former.add(before)

        former.discard("")

        if everything:
            return UsersSubject(
                roster.with_user(), frozenset(former), known, everything
            )

        names = {user_name(each.session) for each in known.values()} | former

        sharers = {
            session.metadata.uid: session
            for name in sorted(names - {""})
            for session in roster.of_user(name)
        }

        return UsersSubject(
            list(sharers.values()), frozenset(former), known, everything
        )

    def _note_looked(self, subject: UsersSubject, users: UsersResult) -> None:
        """Note which users the Sessions have named; the users that they have
        left stay noted until these are gone.
        """
        states = users.look.plan.states

        going = {
            name
            for name in subject.former
            if name in users.look.orders.ended and not states[name].done
        }

        for uid, decision in subject.known.items():
            if self._names.get(uid) not in going:
                self._names.pop(uid, None)
                name = user_name(decision.session)

                if name:
                    self._names[uid] = name

        plan = users.look.plan

        if plan.marked or plan.commands():
            self._ours_left = True
        elif subject.everything:
            self._ours_left = False

        if subject.everything:
            for uid in self._names.keys() - subject.known.keys():
                del self._names[uid]

            for uid in self._retries.keys() - subject.known.keys():
                del self._retries[uid]

    def _retry_waiting(self, users: UsersResult) -> None:
        """Have each Session looked at again in a while whose user waits for a
        person.
        """
        waiting = users.waiting

        for decision in users.look.orders.decisions:
            uid = decision.session.metadata.uid

            if uid not in waiting:
                self._retries.pop(uid, None)
            elif uid not in self._waiting:
                self._retry(uid)

    def _retry(self, uid: str) -> None:
        """Have a Session looked at again, later each time."""
        wait = self._retries.get(uid, _FIRST_RETRY)
        self._retries[uid] = min(2 * wait, _LONGEST_RETRY)

        def look_again() -> None:
            self._waiting.discard(uid)
            self._session_changed(uid)

        self._waiting.add(uid)
        asyncio.get_running_loop().call_later(wait, look_again)

    def _joined(
        self,
        result: PassResult,
        users: UsersResult,
        outcomes: dict[str, UserOutcome],
    ) -> PassResult:
        """Return the result of the pass over access with that over users."""
        plan = users.look.plan

        # Only a dry run leaves commands to be shown; no password is.
        result.plan.stages[ADD].extend(map(without_password, plan.commands()))
        result.plan.rows |= plan.rows

        times = [result.look_again_at]

        if users.look.removals is not None:
            times.append(users.look.removals.look_again_at)

        verdicts = {
            each.session.metadata.uid: each.verdict
            for each in users.look.orders.decisions
        }

        decisions = [
            replace(
                each,
                verdict=verdicts.get(each.session.metadata.uid, each.verdict),
            )
            for each in result.judged
        ]

        return replace(
            result,
            judged=decisions,
            users=outcomes,
            settled=result.settled and users.settled,
            held_back=result.held_back + len(self.removals.held),
            look_again_at=min(
                (moment for moment in times if moment is not None),
                default=None,
            ),
        )


async def remove_all(
    reconciler: AccessReconciler, nobody: Roster, result: PassResult
) -> PassResult:
    """Remove all users of ours from a router, in a pass that follows
    `reconciler`; `nobody` is a roster without Sessions. Return the result of
    both.
    """
    users = DeviceUsers(lambda _uid: None, RemovalWindow(settle=0.0))

    return await users.take(
        reconciler, nobody, result, _no_passwords, everything=True
    )


async def _no_passwords(_sessions: Sequence[Session]) -> Secrets:
    """Return no password: no user is wanted any more."""
    return {}

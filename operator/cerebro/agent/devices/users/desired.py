"""Turns the Sessions of a Device into what is desired of its hotspot users.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from cerebro.agent.devices.access.clients import client_keys, user_keys
from cerebro.agent.devices.access.desired import (
    PassContext,
    SessionDecision,
    access_end,
)
from cerebro.agent.devices.access.promises import (
    Promised,
    promised_to_others,
)
from cerebro.domain.lifecycle import RouterObservation, judge
from cerebro.resources import Session
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.user_model import DesiredUsers, WantedUser


@dataclass(frozen=True, slots=True)
class UserOrders:
    """What the Sessions say of users, before the router's rows are compared.

    `decisions` are those about the Sessions, `users` the users that live ones
    want, `ended` those that no live one wants and whether they were revoked,
    `untold` the names of users whose end only the marker tells so far.
    """

    decisions: tuple[SessionDecision, ...] = ()
    users: tuple[WantedUser, ...] = ()
    ended: Mapping[str, bool] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()

    @property
    def wanted_names(self) -> frozenset[str]:
        """The names of the users that live Sessions want."""
        return frozenset(user.name for user in self.users)


def user_name(session: Session) -> str:
    """Return the name of the hotspot user of a Session; "" for none."""
    user = session.spec.hotspot_user

    return "" if user is None else user.name


def judged(
    sessions: Iterable[Session],
    known: Mapping[str, SessionDecision],
    ends: Mapping[str, int | None],
    promised: Promised,
    at: PassContext,
) -> Iterator[SessionDecision]:
    """Yield the decisions about Sessions that name a user, in their order.

    `known` are those that the pass over access took, by UID: they count where
    the Session names a client too. Else the marker of the user counts, of
    which `ends` are the ends by client id, and not what these Sessions promise
    another of them (rule A11).
    """
    for session in sessions:
        decision = known.get(session.metadata.uid)
        mac, ips = client_keys(session)

        if decision is None or not (mac or ips):
            ids = {client_id(key) for key in user_keys(session)}
            until = next((ends[each] for each in ids if each in ends), 0)
            others = promised_to_others(session, ids, promised)

            seen = RouterObservation(
                now=at.now,
                marked=True,
                marked_until=until,
                own_marker=until not in others,
                clock_trusted=at.clock_trusted,
            )

            verdict = judge(session, seen, at.windows)
            decision = replace(
                decision or SessionDecision(session, verdict), verdict=verdict
            )

        yield decision


def orders_of(
    decisions: Iterable[SessionDecision],
    former: frozenset[str],
    at: PassContext,
) -> UserOrders:
    """Return what Sessions say of users; `former` are names of users that a
    Session has left for another name.
    """
    users: dict[str, WantedUser] = {}
    ended = dict.fromkeys(former, False)
    untold: set[str] = set()
    every = tuple(decisions)

    for decision in every:
        session, verdict = decision.session, decision.verdict
        name = user_name(session)

        if verdict.live:
            wanted = _wanted(decision, at)
            shared = users.get(name)
            users[name] = _latest(shared, wanted) if shared else wanted
            continue

        # Its grant is known by the marker alone: the user goes once the status
        # tells when it began and ended.
        if verdict.authorized_at and session.status.authorized_at is None:
            untold.add(name)

        ended[name] = ended.get(name, False) or verdict.phase == "Revoked"

    return UserOrders(
        decisions=every,
        users=tuple(users.values()),
        ended={
            name: revoked
            for name, revoked in ended.items()
            if name not in users and name not in untold
        },
        untold=frozenset(untold - users.keys()),
    )


def desired_users(
    orders: UserOrders, at: PassContext, *, everything: bool
) -> DesiredUsers:
    """Return what the plan is to reach; `everything` says that all Sessions of
    the Device were decided.
    """
    moment = at.now.timestamp()

    return DesiredUsers(
        wanted=orders.users,
        ended=orders.ended,
        untouched=orders.untold,
        complete=everything and at.complete and not at.passed_only,
        passed_at=moment if at.passed_only else None,
        now=moment if at.clock_trusted else None,
        frozen=frozenset(map(client_id, at.frozen)),
        frozen_all=at.frozen_all,
    )


def _wanted(decision: SessionDecision, at: PassContext) -> WantedUser:
    """Return the user that a live Session wants, without its password."""
    session, verdict = decision.session, decision.verdict
    named = session.spec.hotspot_user
    profile = None if named is None else named.profile

    return WantedUser(
        user_name(session),
        profile,
        until=access_end(session, verdict, at),
        hold=verdict.hold or at.hold is not None,
        session=session.metadata.uid,
    )


def _latest(known: WantedUser, added: WantedUser) -> WantedUser:
    """Return the user of two Sessions that share it: the latest end counts
    (rule B3), and what is held prolongs nothing (rule A9).
    """
    if known.hold != added.hold:
        return added if known.hold else known

    if known.until is None or added.until is None:
        return known if known.until is None else added

    return known if known.until >= added.until else added

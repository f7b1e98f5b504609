"""Turns the Sessions of a Device into what is desired of its router: grants
and endings for the access plan. Pure.

Each Session is judged (`domain/lifecycle.judge`); what its verdict means for
its client follows here. Which rows that makes is decided in `routeros/access`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cerebro.agent.devices.access.clients import (
    client_keys,
    former_client,
    known_by,
    some,
)
from cerebro.agent.devices.access.promises import (
    has_not_begun,
    marked_until,
    promised_ends,
    promised_to_others,
)
from cerebro.domain.by_address import asks_who_is_there
from cerebro.domain.lifecycle import (
    GrantWindows,
    RouterObservation,
    Verdict,
    is_current,
    judge,
)
from cerebro.resources import Session
from cerebro.routeros.access.marker import (
    client_id,
    legacy_comments,
    marked_ends,
)
from cerebro.routeros.access.model import (
    AccessPolicy,
    DesiredAccess,
    Ending,
    Grant,
    holders,
)
from cerebro.routeros.access.read import Scope
from cerebro.routeros.access.tables import Actual

# How long after a revoke by address who has it now is taken for who had it
# then: longer if the router was away.
_ADDRESS_STALE = timedelta(minutes=2)


@dataclass(frozen=True)
class PassContext:
    """What a pass over a router depends on besides Sessions and rows."""

    now: datetime
    windows: GrantWindows = field(default_factory=GrantWindows)
    clock_trusted: bool = True
    """Whether our clock is near enough to the API server's (rule A9)."""

    hold: str | None = None
    """Why nothing is written for live clients: paused, no Lease; None: it is.
    """

    passed_only: bool = False
    """Whether only rows go whose marker has a passed end (rule E1)."""

    complete: bool = False
    """Whether the store has all Sessions (rule E7)."""

    contested: frozenset[str] = frozenset()
    """Client ids that back off (rule B10)."""

    logged_in_again: frozenset[str] = frozenset()
    """Client ids that the router keeps logging in after their end (B10)."""

    frozen: frozenset[str] = frozenset()
    """MACs and addresses of clients that are left alone (rule B9)."""

    frozen_all: bool = False
    """Whether a Session that cannot be read names no client that we
    understand: then any client may be its.
    """

    flows: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Tracked connections at the end of a client's access, by `flows_key`; see
    `Ending`.
    """


@dataclass(frozen=True, slots=True)
class SessionDecision:
    """One Session with its verdict and what follows from it for the router."""

    session: Session
    verdict: Verdict
    grant: Grant | None = None
    """The client that is to have access. A Session that names no client has no
    grant.
    """

    ending: Ending | None = None
    """The client that must not have access any more; of a Session that names
    no client those whom the older relay let in for its order.
    """

    former: Ending | None = None
    """The client whose entries the Session still has, after it was changed to
    name another one.
    """

    untold: frozenset[str] = frozenset()
    """MACs and addresses of a client whose end only the marker on the router
    tells: it stays until the status does.
    """

    @property
    def endings(self) -> tuple[Ending, ...]:
        """The clients that must not have access by this Session any more."""
        return tuple(
            ending
            for ending in (self.ending, self.former)
            if ending is not None
        )


def scope_of(sessions: Iterable[Session]) -> Scope:
    """Return what to ask the router for in order to know everything about the
    clients of some Sessions.

    Those are the clients that the Sessions name now, those that they named
    before, and those whom only the rows of a revoked order name.
    """
    macs: set[str] = set()
    ips: set[str] = set()
    comments: set[str] = set()

    for session in sessions:
        known_macs, known_ips = known_by(session)
        macs |= known_macs
        ips |= known_ips

        order = revoked_alone(session)

        if order is not None:
            comments |= legacy_comments(order)

    return Scope(frozenset(macs), frozenset(ips), frozenset(comments))


def revoked_alone(session: Session) -> str | None:
    """Return the order that a Session ends where it names no client: only the
    rows of the older relay say whom they let in for it (rule A4).
    """
    mac, ips = client_keys(session)

    if mac or ips or not session.spec.revoked:
        return None

    return session.spec.order_id


def in_scope(session: Session, scope: Scope) -> bool:
    """Return whether a Session's client is among those of a scope."""
    macs, ips = known_by(session)

    return not macs.isdisjoint(scope.macs) or not ips.isdisjoint(scope.ips)


def ends_rows_of_others(session: Session) -> bool:
    """Return whether rows of the older relay go with a Session (rule B4), as
    far as its end was not seen enforced.
    """

    if not session.spec.revoked:
        return False

    status = session.status
    enforced = status.condition("Enforced")
    is_enforced = enforced is not None and enforced.status == "True"
    was_seen = (
        is_current(session) and status.phase == "Revoked" and is_enforced
    )

    return not was_seen


def judge_all(
    sessions: Iterable[Session],
    actual: Actual | None,
    policy: AccessPolicy,
    at: PassContext,
) -> list[SessionDecision]:
    """Return the `judgements` of some Sessions at once."""
    return list(judgements(sessions, actual, policy, at))


def judgements(
    sessions: Iterable[Session],
    actual: Actual | None,
    policy: AccessPolicy,
    at: PassContext,
) -> Iterator[SessionDecision]:
    """Yield the decisions about Sessions, by the clock and the markers on the
    router, in the order of the Sessions.

    `actual` is None if the router could not be read. A marker that another
    Session of the same client explains promises nothing to this one (rule
    A11).
    """

    every = list(sessions)

    ends = (
        marked_ends((*actual.bindings, *actual.lists), policy.installation)
        if actual is not None
        else {}
    )

    # What others promise matters only where a marker may tell when a duration
    # began.
    may_adopt = bool(ends) and any(map(has_not_begun, every))
    promised = promised_ends(every) if may_adopt else {}

    for session in every:
        mac, ips = client_keys(session)
        ids = {client_id(key) for key in (mac, *ips) if key} if ends else set()
        until = marked_until(ids, ends)
        others_ends = promised_to_others(session, ids, promised)

        seen = RouterObservation(
            now=at.now,
            marked=actual is not None,
            marked_until=until,
            own_marker=until not in others_ends,
            clock_trusted=at.clock_trusted,
        )

        verdict = judge(session, seen, at.windows)

        yield _translate(session, verdict, at)


def pinned(
    decisions: Iterable[SessionDecision], actual: Actual
) -> dict[str, Session]:
    """Return the live Sessions that name an address only, as if they named the
    MAC that has it now, by UID (B2).

    A Session that nothing may be written for is left as it is.
    """
    macs_by_ip = holders(actual.hosts)
    pins = {}

    for decision in decisions:
        grant, session = decision.grant, decision.session

        if grant is None or grant.hold or grant.mac or not grant.ip:
            continue

        mac = macs_by_ip.get(grant.ip)

        if mac:
            client = session.spec.client.model_copy(
                update={"mac_address": mac}
            )

            spec = session.spec.model_copy(update={"client": client})
            pins[session.metadata.uid] = session.model_copy(
                update={"spec": spec}
            )

    return pins


def flows_key(session: Session, client: Grant | Ending) -> str:
    """Return the key under which the connections at the end of a client's
    access are remembered.

    It is the Session's UID with the client's MAC, else its addresses: a
    Session that names another client has another key.
    """
    ips = client.ips if isinstance(client, Ending) else some(client.ip)

    return f"{session.metadata.uid} {client.mac or ' '.join(sorted(ips))}"


def wanted_of(
    decisions: Iterable[SessionDecision], at: PassContext, *, everything: bool
) -> DesiredAccess:
    """Return what the plan is to reach.

    `everything` says that all Sessions of the Device were decided: only then,
    and with a complete store, rows that no Session explains may go. Sessions
    of the same client share one grant or ending.
    """

    every = list(decisions)
    grants = (
        decision.grant for decision in every if decision.grant is not None
    )

    endings = (ending for decision in every for ending in decision.endings)
    untold = (decision.untold for decision in every)
    moment = at.now.timestamp()

    return DesiredAccess(
        grants=tuple(dict.fromkeys(grants)),
        endings=tuple(dict.fromkeys(endings)),
        frozen=at.frozen.union(*untold),
        frozen_all=at.frozen_all,
        complete=everything and at.complete and not at.passed_only,
        passed_at=moment if at.passed_only else None,
        now=moment if at.clock_trusted else None,
        logged_in_again=at.logged_in_again,
    )


# From a Session to what the router is to have


def _translate(
    session: Session, verdict: Verdict, at: PassContext
) -> SessionDecision:
    """Return what a verdict means for the router."""
    former = _former_ending(session, at)
    mac, ips = client_keys(session)

    if not mac and not ips:
        order = revoked_alone(session)
        ending = None

        if order is not None:
            ending = Ending(None, ips, revoked=True, order=order)

        return SessionDecision(session, verdict, ending=ending, former=former)

    if verdict.live:
        return SessionDecision(
            session, verdict, grant=_grant(session, verdict, at), former=former
        )

    # Its grant is known by the marker alone: the rows go once the status tells
    # when it began and ended.
    if (
        verdict.authorized_at is not None
        and session.status.authorized_at is None
    ):
        return SessionDecision(session, verdict, untold=ips | some(mac))

    ending = _ending(session, mac, ips, at, revoked=verdict.phase == "Revoked")

    return SessionDecision(session, verdict, ending=ending, former=former)


def _grant(session: Session, verdict: Verdict, at: PassContext) -> Grant:
    """Return the access that a live Session is to have."""
    mac, _ = client_keys(session)
    ip, prior = _listed_address(session, mac)
    until = access_end(session, verdict, at)

    is_contested = client_id(mac or ip or "") in at.contested
    hold = verdict.hold or at.hold is not None or is_contested

    return Grant(mac, ip, until, prior, hold)


def access_end(
    session: Session, verdict: Verdict, at: PassContext
) -> float | None:
    """Return when the access of a live Session is to end, in unix seconds;
    None: when it is revoked.
    """
    # A duration begins with the grant, so now at the earliest.
    end = verdict.end

    if end is None and session.spec.duration is not None:
        start = verdict.authorized_at or at.now
        end = start + session.spec.duration

    return None if end is None else end.timestamp()


def _listed_address(
    session: Session, mac: str | None
) -> tuple[str | None, str | None]:
    """Return the address for the address list, and the one that is on it by
    now (rule B2).

    With a MAC the list follows the address at which the router shows it.
    """

    prior = session.placed.ip_address if session.placed else None

    if (
        mac
        and prior
        and session.status.observed_generation == session.metadata.generation
    ):
        return prior, prior  # seen since the one in the spec was asked for

    ip = session.spec.client.ip_address

    if ip is None and not mac:
        ip = prior

    return ip, prior


def _former_ending(session: Session, at: PassContext) -> Ending | None:
    """Return the end of the client that a Session named before, while it has
    entries.
    """
    client = former_client(session)

    if client is None:
        return None

    return _ending(session, client.mac_address, some(client.ip_address), at)


def _ending(
    session: Session,
    mac: str | None,
    ips: frozenset[str],
    at: PassContext,
    *,
    revoked: bool = False,
) -> Ending:
    # Once the first look showed nobody at the address, that holds: who gets it
    # later is not meant.
    placed = session.placed
    asks = asks_who_is_there(session) and (
        placed is None or placed.mac_address is not None
    )

    created = session.metadata.creation_timestamp
    late = asks and created is not None and at.now - created > _ADDRESS_STALE
    ending = Ending(mac, ips, revoked, asks=asks, late=late)

    return replace(ending, flows=at.flows.get(flows_key(session, ending)))

"""What is desired of one router: its Sessions, judged, as grants and endings for the access plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cerebro.domain.by_address import asks_who_is_there
from cerebro.domain.lifecycle import GrantWindows, RouterObservation, Verdict, judge
from cerebro.resources import AppliedClient, Session, normalise_mac
from cerebro.routeros.access.marker import client_id, marked_ends, marker_for
from cerebro.routeros.access.model import AccessPolicy, DesiredAccess, Ending, Grant, holders
from cerebro.routeros.access.read import Scope
from cerebro.routeros.access.tables import Actual

# How long after a revoke by address who has it now is taken for who had it then: longer when the router was away.
_ADDRESS_STALE = timedelta(minutes=2)


@dataclass(frozen=True)
class PassContext:
    """What a pass over a router depends on besides Sessions and rows.

    `hold` forbids writes for live clients, with the reason: paused, no Lease, dry run. `passed_only` is rule
    E1: only rows whose marker has passed go. `complete` says that the store is (rule E7). `contested` are
    client ids that back off (rule B10).
    """

    now: datetime
    windows: GrantWindows = field(default_factory=GrantWindows)
    clock_trusted: bool = True
    hold: str | None = None
    passed_only: bool = False
    complete: bool = False
    contested: frozenset[str] = frozenset()
    frozen: frozenset[str] = frozenset()
    frozen_all: bool = False
    flows: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by `flows_key`, see `Ending`


@dataclass(frozen=True, slots=True)
class SessionDecision:
    """One Session with its verdict and what follows from it for the router; neither when it names no client.

    `left` is the client whose entries a live Session still has after it was changed to name another. `untold`
    are the names of a client whose end only the marker on the router tells: it stays until the status does.
    """

    session: Session
    verdict: Verdict
    grant: Grant | None = None
    ending: Ending | None = None
    left: Ending | None = None
    untold: frozenset[str] = frozenset()

    @property
    def endings(self) -> tuple[Ending, ...]:
        """The clients that must not have access by this Session any more."""
        return tuple(ending for ending in (self.ending, self.left) if ending is not None)


def client_keys(session: Session) -> tuple[str | None, frozenset[str]]:
    """Return the MAC that is known of a Session's client (asked for, else pinned) and its addresses (asked
    for, applied).
    """
    client, placed = session.spec.client, session.placed
    mac = client.mac_address or (placed.mac_address if placed else None)
    ips = (client.ip_address, placed.ip_address if placed else None)
    return mac, frozenset(ip for ip in ips if ip)


def _client_left(session: Session) -> AppliedClient | None:
    """Return the client that has rows by a Session which names another by now."""
    return session.status.applied if session.placed is None else None


def _known_by(session: Session) -> tuple[frozenset[str], frozenset[str]]:
    """Return the MACs and addresses of a Session's client and of the one that it has left."""
    mac, ips = client_keys(session)
    left = _client_left(session) or AppliedClient()
    return frozenset(one for one in (mac, left.mac_address) if one), ips | _some(left.ip_address)


def _some(name: str | None) -> frozenset[str]:
    return frozenset({name} if name else ())


def scope_of(sessions: Iterable[Session]) -> Scope:
    """Return what to ask the router for in order to know everything about the clients of some Sessions."""
    macs: set[str] = set()
    ips: set[str] = set()
    for session in sessions:
        its_macs, its_ips = _known_by(session)
        macs |= its_macs
        ips |= its_ips
    return Scope(frozenset(macs), frozenset(ips))


def in_scope(session: Session, scope: Scope) -> bool:
    """Tell whether a Session's client is among those of a scope."""
    macs, ips = _known_by(session)
    return not macs.isdisjoint(scope.macs) or not ips.isdisjoint(scope.ips)


def ends_rows_of_others(session: Session) -> bool:
    """Tell whether rows of the older relay go with a Session (rule B4), as far as its end was not seen enforced."""
    enforced, status = session.status.condition("Enforced"), session.status
    current = (status.observed_generation or 0) >= session.metadata.generation
    over = current and status.phase == "Revoked" and enforced is not None and enforced.status == "True"
    return session.spec.revoked and not over


def frozen_clients(raw: Iterable[Mapping[str, Any]]) -> tuple[frozenset[str], bool]:
    """Return the MACs and addresses in Sessions that cannot be read, and whether one names none that we
    understand (rule B9).
    """
    found: set[str] = set()
    unknown = False
    for body in raw:
        spec, status = body.get("spec") or {}, body.get("status") or {}
        said: list[object] = []
        for client in (spec.get("client"), status.get("applied")):
            said += [client.get("macAddress"), client.get("ipAddress")] if isinstance(client, Mapping) else []
        names = {_name(value) for value in said if isinstance(value, str) and value}
        unknown = unknown or not names
        found |= names
    return frozenset(found), unknown


def _name(value: str) -> str:
    try:
        return normalise_mac(value)
    except ValueError:
        return value.strip()


def judge_all(
    sessions: Iterable[Session], actual: Actual | None, policy: AccessPolicy, at: PassContext
) -> list[SessionDecision]:
    """Judge Sessions against the clock and the markers on the router; `actual` None when it could not be
    read.
    """
    every = list(sessions)
    ends = marked_ends((*actual.bindings, *actual.lists), policy.installation) if actual is not None else {}
    promised = _promised(every)
    judged = []
    for session in every:
        mac, ips = client_keys(session)
        ids = {client_id(key) for key in (mac, *ips) if key}
        marks = [ends[i] for i in ids if i in ends]
        until = 0 if not marks else None if None in marks else max(mark or 0 for mark in marks)
        own = until not in {
            end for i in ids for uid, end in promised.get(i, ()) if uid != session.metadata.uid
        }
        seen = RouterObservation(at.now, actual is not None, until, own, at.clock_trusted)
        verdict = judge(session, seen, at.windows)
        judged.append(_translate(session, verdict, mac, ips, at))
    return judged


def _promised(sessions: Iterable[Session]) -> dict[str, list[tuple[str, int | None]]]:
    """Return the ends that Sessions are known to have, as their markers say them, by client id."""
    promised: dict[str, list[tuple[str, int | None]]] = {}
    for session in sessions:
        end = session.spec.expires_at or session.status.expires_at
        macs, ips = _known_by(session)
        for key in (*macs, *ips):
            if end is not None or session.spec.duration is None:
                marker = marker_for("", key, end.timestamp() if end else None)
                promised.setdefault(client_id(key), []).append((session.metadata.uid, marker.until))
    return promised


def _translate(
    session: Session, verdict: Verdict, mac: str | None, ips: frozenset[str], at: PassContext
) -> SessionDecision:
    gone = _client_left(session)
    left = _ending(session, gone.mac_address, _some(gone.ip_address), at) if gone else None
    if not mac and not ips:
        return SessionDecision(session, verdict, left=left)
    if not verdict.live and verdict.authorized_at is not None and session.status.authorized_at is None:
        return SessionDecision(session, verdict, untold=ips | _some(mac))
    if not verdict.live:
        ending = _ending(session, mac, ips, at, revoked=verdict.phase == "Revoked")
        return SessionDecision(session, verdict, ending=ending, left=left)
    end = verdict.end
    if end is None and session.spec.duration is not None:
        start = verdict.authorized_at or at.now
        end = start + session.spec.duration
    prior = session.placed.ip_address if session.placed else None
    ip = session.spec.client.ip_address or (prior if not mac else None)
    if mac and prior and session.status.observed_generation == session.metadata.generation:
        ip = prior  # seen since it was asked for
    contested = client_id(mac or ip or "") in at.contested
    hold = verdict.hold or at.hold is not None or contested
    until = None if end is None else end.timestamp()
    return SessionDecision(session, verdict, grant=Grant(mac, ip, until, prior, hold), left=left)


def _ending(
    session: Session, mac: str | None, ips: frozenset[str], at: PassContext, *, revoked: bool = False
) -> Ending:
    made, placed = session.metadata.creation_timestamp, session.placed
    # A first look that showed nobody there holds: who gets the address later is not meant.
    asks = asks_who_is_there(session) and (placed is None or placed.mac_address is not None)
    late = asks and made is not None and at.now - made > _ADDRESS_STALE
    ending = Ending(mac, ips, revoked, asks=asks, late=late)
    return replace(ending, flows=at.flows.get(flows_key(session, ending)))


def pinned(judged: Iterable[SessionDecision], actual: Actual) -> dict[str, Session]:
    """Return, by UID, the live Sessions that name an address only, as if they named the MAC that holds it now
    (rule B2).
    """
    held = holders(actual.hosts)
    pins = {}
    for one in judged:
        mac = held.get(one.grant.ip) if one.grant and not one.grant.mac and one.grant.ip else None
        if one.grant and mac and not one.grant.hold:
            client = one.session.spec.client.model_copy(update={"mac_address": mac})
            spec = one.session.spec.model_copy(update={"client": client})
            pins[one.session.metadata.uid] = one.session.model_copy(update={"spec": spec})
    return pins


def flows_key(session: Session, client: Grant | Ending) -> str:
    """Return under which key the connections at the end of a client's access are remembered."""
    ips = client.ips if isinstance(client, Ending) else _some(client.ip)
    return f"{session.metadata.uid} {client.mac or ' '.join(sorted(ips))}"


def wanted_of(judged: Iterable[SessionDecision], at: PassContext, *, everything: bool) -> DesiredAccess:
    """Return what the plan is to reach; `everything` says that all Sessions of the Device are among `judged`."""
    every = list(judged)
    complete = everything and at.complete and not at.passed_only
    return DesiredAccess(
        grants=tuple(dict.fromkeys(one.grant for one in every if one.grant)),
        endings=tuple(dict.fromkeys(ending for one in every for ending in one.endings)),
        frozen=at.frozen.union(*(one.untold for one in every)),
        frozen_all=at.frozen_all,
        complete=complete,
        passed_at=at.now.timestamp() if at.passed_only else None,
        now=at.now.timestamp() if at.clock_trusted else None,
    )


def next_wake(judged: Iterable[SessionDecision], since: datetime) -> datetime | None:
    """Return when, after `since`, the clock next changes one of the verdicts that were made for `since`."""
    times = (one.verdict.wake_at for one in judged)
    return min((time for time in times if time is not None and time > since), default=None)

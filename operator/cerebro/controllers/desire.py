"""What is desired of one router: its Sessions, judged, as grants and endings for the access plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cerebro.controllers.session_life import GrantWindows, Seen, Verdict, judge
from cerebro.resources import AppliedClient, Session, normalise_mac
from cerebro.routeros.access import AccessPolicy, Actual, Ending, Grant, Wanted, holders, marked_ends
from cerebro.routeros.access_read import Scope
from cerebro.routeros.marker import client_id, marker_for


@dataclass(frozen=True)
class Circumstances:
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
class Judged:
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
    client, applied = session.spec.client, session.status.applied
    mac = client.mac_address or (applied.mac_address if applied else None)
    ips = (client.ip_address, applied.ip_address if applied else None)
    return mac, frozenset(ip for ip in ips if ip)


def scope_of(sessions: Iterable[Session]) -> Scope:
    """Return what to ask the router for in order to know everything about the clients of some Sessions."""
    macs: set[str] = set()
    ips: set[str] = set()
    for session in sessions:
        mac, addresses = client_keys(session)
        left = _client_left(session)
        macs |= {one for one in (mac, left) if one}
        ips |= addresses
    return Scope(frozenset(macs), frozenset(ips))


def in_scope(session: Session, scope: Scope) -> bool:
    """Tell whether a Session's client is among those of a scope."""
    mac, ips = client_keys(session)
    return not scope.macs.isdisjoint({mac, _client_left(session)}) or not ips.isdisjoint(scope.ips)


def _client_left(session: Session) -> str | None:
    """Return the MAC on the router of a Session that names another by now."""
    applied, asked = session.status.applied, session.spec.client.mac_address
    there = applied.mac_address if applied else None
    return there if asked and there != asked else None


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
    sessions: Iterable[Session], actual: Actual | None, policy: AccessPolicy, at: Circumstances
) -> list[Judged]:
    """Judge Sessions against the clock and the markers on the router; `actual` None when it could not be
    read.
    """
    every = list(sessions)
    ends = marked_ends(actual, policy) if actual is not None else {}
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
        seen = Seen(at.now, actual is not None, until, own, at.clock_trusted)
        verdict = judge(session, seen, at.windows)
        judged.append(_translate(session, verdict, mac, ips, at))
    return judged


def _promised(sessions: Iterable[Session]) -> dict[str, list[tuple[str, int | None]]]:
    """Return the ends that Sessions are known to have, as their markers say them, by client id."""
    promised: dict[str, list[tuple[str, int | None]]] = {}
    for session in sessions:
        end = session.spec.expires_at or session.status.expires_at
        mac, ips = client_keys(session)
        for key in (mac, *ips):
            if key and (end is not None or session.spec.duration is None):
                marker = marker_for("", key, end.timestamp() if end else None)
                promised.setdefault(client_id(key), []).append((session.metadata.uid, marker.until))
    return promised


def _translate(
    session: Session, verdict: Verdict, mac: str | None, ips: frozenset[str], at: Circumstances
) -> Judged:
    if not mac and not ips:
        return Judged(session, verdict)
    asked, applied = session.spec.client, session.status.applied
    left = None
    there = _client_left(session)
    if there and applied:
        at_prior = frozenset({applied.ip_address} if applied.ip_address else ())
        left = Ending(there, at_prior, False, at.flows.get(flows_key(session, there)))
    if not verdict.live and verdict.authorized_at is not None and session.status.authorized_at is None:
        return Judged(session, verdict, untold=ips | ({mac} if mac else set()))
    if not verdict.live:
        flows = at.flows.get(flows_key(session, mac))
        return Judged(session, verdict, ending=Ending(mac, ips, verdict.phase == "Revoked", flows), left=left)
    end = verdict.end
    if end is None and session.spec.duration is not None:
        start = verdict.authorized_at or at.now
        end = start + session.spec.duration
    prior = applied.ip_address if applied and there is None else None
    ip = asked.ip_address or (prior if not mac else None)
    if mac and prior and session.status.observed_generation == session.metadata.generation:
        ip = prior  # seen since it was asked for
    contested = client_id(mac or ip or "") in at.contested
    hold = verdict.hold or at.hold is not None or contested
    until = None if end is None else end.timestamp()
    return Judged(session, verdict, grant=Grant(mac, ip, until, prior, hold), left=left)


def pinned(judged: Iterable[Judged], actual: Actual) -> dict[str, Session]:
    """Return, by UID, the live Sessions that name an address only, with the MAC that holds it now (rule B2)."""
    held = holders(actual.hosts)
    pins = {}
    for one in judged:
        mac = held.get(one.grant.ip) if one.grant and not one.grant.mac and one.grant.ip else None
        if one.grant and mac and not one.grant.hold:
            applied = AppliedClient(mac_address=mac, ip_address=one.grant.ip)
            status = one.session.status.model_copy(update={"applied": applied})
            pins[one.session.metadata.uid] = one.session.model_copy(update={"status": status})
    return pins


def flows_key(session: Session, mac: str | None) -> str:
    """Return under which key the connections at the end of a client's access are remembered."""
    return f"{session.metadata.uid} {mac or ''}"


def wanted_of(judged: Iterable[Judged], at: Circumstances, *, everything: bool) -> Wanted:
    """Return what the plan is to reach; `everything` says that all Sessions of the Device are among `judged`."""
    every = list(judged)
    complete = everything and at.complete and not at.passed_only
    return Wanted(
        grants=tuple(dict.fromkeys(one.grant for one in every if one.grant)),
        endings=tuple(dict.fromkeys(ending for one in every for ending in one.endings)),
        frozen=at.frozen.union(*(one.untold for one in every)),
        frozen_all=at.frozen_all,
        complete=complete,
        passed_at=at.now.timestamp() if at.passed_only else None,
        now=at.now.timestamp() if at.clock_trusted else None,
    )


def next_wake(judged: Iterable[Judged], since: datetime) -> datetime | None:
    """Return when, after `since`, the clock next changes one of the verdicts that were made for `since`."""
    times = (one.verdict.wake_at for one in judged)
    return min((time for time in times if time is not None and time > since), default=None)

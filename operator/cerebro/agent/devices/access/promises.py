"""The ends that markers on the router, and other Sessions, promise a client
(rule A11). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cerebro.agent.devices.access.clients import known_by, user_keys
from cerebro.resources import Session
from cerebro.routeros.access.marker import client_id, marker_end


def marked_until(
    ids: Iterable[str], ends: Mapping[str, int | None]
) -> int | None:
    """Return the latest end in the markers of these client ids, in Unix
    seconds; 0: no marker, None: for ever.
    """
    marks = [ends[number] for number in ids if number in ends]

    if None in marks:
        return None

    return max((mark for mark in marks if mark is not None), default=0)


def has_not_begun(session: Session) -> bool:
    """Return whether a Session has a duration of which no status tells yet
    when it began.
    """
    spec = session.spec
    is_known = spec.expires_at is not None or spec.duration is None

    return not is_known and session.status.authorized_at is None


Promised = dict[str, list[tuple[str, int | None]]]
"""Ends that Sessions are known to have, as their markers say them: UID and
end, by client id.
"""


def promised_ends(sessions: Iterable[Session]) -> Promised:
    """Return the ends that Sessions are known to have."""
    promised: Promised = {}

    for session in sessions:
        note_promise(promised, session)

    return promised


def note_promise(promised: Promised, session: Session) -> None:
    """Add the end that a Session is known to have, if it is."""
    end = session.spec.expires_at or session.status.expires_at

    if end is None and session.spec.duration is not None:
        return  # not known yet

    until = marker_end(end.timestamp() if end else None)
    macs, ips = known_by(session)

    for key in (*macs, *ips, *user_keys(session)):
        promised.setdefault(client_id(key), []).append(
            (session.metadata.uid, until)
        )


def promised_to_others(
    session: Session,
    ids: Iterable[str],
    promised: Mapping[str, list[tuple[str, int | None]]],
) -> set[int | None]:
    """Return the ends that other Sessions of the same client are known to
    have.
    """
    ends = set()

    for number in ids:
        for uid, end in promised.get(number, ()):
            if uid != session.metadata.uid:
                ends.add(end)

    return ends

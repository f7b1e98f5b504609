"""Which Session stands in place of which (rule A10). Pure.

A Session that a person made is never changed by us. To move or revoke it, the
bridge makes one that `supersedes` it by name. Client, end and revocation of
that one then hold for the superseded one too, also after that was made again.

Agent and bridge ask two questions, in one order (`_rank`):

* `newest`: which one counts? It may be anybody's. One that our models cannot read counts too (rule B9).
* `stand_in_for`: which one may the bridge change? Only its own, and only one that it can read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cerebro.domain.lifecycle import LATEST, cause_of, is_ours
from cerebro.kube.objects import StoredObject
from cerebro.resources import Session

_FIRST = datetime.min.replace(tzinfo=UTC)


def newest(superseding: Iterable[StoredObject]) -> StoredObject | None:
    """Return which of the Sessions that supersede one stands in its place: the
    newest, then by name.

    One that our model cannot read is ranked by its time too; if not even that
    can be read, it is the newest.
    """
    return max(superseding, key=_stored_rank, default=None)


def stand_in_for(
    holder: Session, sessions: Iterable[Session]
) -> Session | None:
    """Return the newest of our Sessions that supersede `holder`, among
    `sessions`; None if none does.

    `sessions` are of the same namespace, and all that can be read of those
    that may supersede it.
    """
    ours = [
        session
        for session in sessions
        if supersedes(session, holder.name) and is_ours(session)
    ]

    return max(ours, key=_rank, default=None)


def supersedes(session: Session, name: str) -> bool:
    """Return whether a Session stands in place of the one of that name in its
    namespace.
    """
    superseded = session.spec.supersedes
    return superseded is not None and superseded.name == name


def superseded_names(sessions: Iterable[Session]) -> set[str]:
    """Return the names of all Sessions in whose place one of these stands."""
    return {
        session.spec.supersedes.name
        for session in sessions
        if session.spec.supersedes is not None
    }


def effective(session: Session, superseder: Session | None) -> Session:
    """Return the Session as it counts: with client, end and revocation of the
    one that stands in its place.

    Its client stays if that one names none. Its name, its order and its status
    stay, for they are reported as its own.
    """

    if superseder is None:
        return session

    client = superseder.spec.client
    names_client = client.mac_address or client.ip_address
    spec = session.spec.model_copy(
        update={
            "client": client if names_client else session.spec.client,
            "expires_at": superseder.spec.expires_at,
            "duration": superseder.spec.duration,
            "revoked": superseder.spec.revoked,
            "revoked_at": superseder.spec.revoked_at,
        }
    )

    return session.model_copy(update={"spec": spec})


def _rank(session: Session) -> tuple[datetime, str]:
    return cause_of(session) or _FIRST, session.name


def _stored_rank(stored: StoredObject) -> tuple[datetime, str]:
    session = stored.read(Session)
    if session is not None:
        return _rank(session)

    raw = stored.raw or {}
    spec, metadata = raw.get("spec") or {}, raw["metadata"]
    time = spec.get("requestedAt") or metadata.get("creationTimestamp")
    try:
        return datetime.fromisoformat(time).astimezone(UTC), stored.name
    except (TypeError, ValueError, OverflowError):
        return LATEST, stored.name

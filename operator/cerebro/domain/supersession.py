"""Which Session stands in place of which (rule A10). Pure.

A Session that a person made is never changed by us. To move or revoke it, the bridge makes one that
`supersedes` it by name; its client, end and revocation then hold for the superseded one too, also after that
was made again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cerebro.kube.objects import StoredObject
from cerebro.resources import Session
from cerebro.resources.naming import LABEL_MANAGED_BY, MANAGED_BY_BRIDGE

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def newest(superseding: Iterable[StoredObject]) -> StoredObject | None:
    """Return which of the Sessions that supersede one stands in its place: the newest, then by name.

    One that our model cannot read counts too (rule B9), where not even its time can be read as the newest.
    """
    return max(superseding, key=_rank, default=None)


def _rank(stored: StoredObject) -> tuple[datetime, str]:
    session = stored.read(Session)
    if session is not None:
        return session.spec.requested_at or session.metadata.creation_timestamp or _FIRST, stored.name
    raw = stored.raw or {}
    said = (raw.get("spec") or {}).get("requestedAt") or raw["metadata"].get("creationTimestamp")
    try:
        return datetime.fromisoformat(said).astimezone(UTC), stored.name
    except (TypeError, ValueError, OverflowError):
        return _LAST, stored.name


def effective(session: Session, superseder: Session | None) -> Session:
    """Return the Session as it counts: with client, end and revocation of the one that stands in its place."""
    if superseder is None:
        return session
    client = superseder.spec.client
    said = client.mac_address or client.ip_address
    spec = session.spec.model_copy(
        update={
            "client": client if said else session.spec.client,
            "expires_at": superseder.spec.expires_at,
            "duration": superseder.spec.duration,
            "revoked": superseder.spec.revoked,
            "revoked_at": superseder.spec.revoked_at,
        }
    )
    return session.model_copy(update={"spec": spec})


def stand_in_for(holder: Session, sessions: Iterable[Session]) -> Session | None:
    """Give ours that stands in place of a Session: the newest by requestedAt, then name (A10)."""
    found = [
        session
        for session in sessions
        if session.spec.supersedes and session.spec.supersedes.name == holder.name and is_ours(session)
    ]
    return max(
        found,
        key=lambda one: (one.spec.requested_at.timestamp() if one.spec.requested_at else 0, one.name),
        default=None,
    )


def is_ours(session: Session) -> bool:
    """Say whether the bridge made it; what others made is never changed (A10)."""
    return session.metadata.labels.get(LABEL_MANAGED_BY) == MANAGED_BY_BRIDGE

"""Which Session stands in place of which (rule A10). Pure.

A Session that a person made is never changed by us. To move or revoke it, the bridge makes one that
`supersedes` it by name; its client, end and revocation then hold for the superseded one too, also after that
was made again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cerebro.resources import Session

_FIRST = datetime.min.replace(tzinfo=UTC)


def newest_superseders(sessions: Iterable[Session]) -> dict[tuple[str, str], Session]:
    """Return the Session that stands in place of each superseded one, by (namespace, name): the newest, then
    by name.
    """
    newest: dict[tuple[str, str], Session] = {}
    for session in sessions:
        if session.spec.supersedes is None:
            continue
        key = (session.namespace, session.spec.supersedes.name)
        if key not in newest or _rank(session) > _rank(newest[key]):
            newest[key] = session
    return newest


def _rank(session: Session) -> tuple[datetime, str]:
    return (session.spec.requested_at or session.metadata.creation_timestamp or _FIRST, session.name)


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

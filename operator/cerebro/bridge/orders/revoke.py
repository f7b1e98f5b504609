"""What a revoke, and a phone that moved, do to Sessions. Pure (A4, A6, A10)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from cerebro.bridge.intents import Client, Revoke
from cerebro.bridge.orders.writes import Create, Keep, Write, create_write, patch_write, revoke_write
from cerebro.domain.by_address import asks_who_is_there
from cerebro.domain.lifecycle import cause_of, ended_by_clock, is_finished
from cerebro.resources import Device, Session, place_of_order, session_name
from cerebro.resources.naming import ANNOTATION_TRACE_ID
from cerebro.resources.session import SessionType


def decide_revoke(
    namespace: str,
    revoke: Revoke,
    device: Device,
    sessions: Iterable[Session],
    *,
    client: Client,
    now: datetime,
    linked: Collection[str] = (),
) -> list[Write]:
    """Decide about a revoke, given the Device's unfinished Sessions and those of the order on any Device.

    `linked` are the names of Sessions that were made for the token which stands for the client. A Session that was
    asked for later than the revoke stays. A client that has no Session gets a revoked one, so that the router is rid
    of rows that the older relay made for it. So does an address alone: the one where a Session's phone was seen is
    minutes old, and only the router knows who is there now (B2, see `end_whoever_is_there`).
    """
    of_order = revoke.order_id is not None
    by_address = not of_order and not linked and client.mac is None
    known = [one for one in sessions if of_order or one.spec.device_ref.name == device.name]
    about = [one for one in known if _is_about(revoke, client, one) or (not of_order and one.name in linked)]
    record = _record(namespace, revoke, device, client) if client else None
    recorded = record is not None and any(one.name == record.name for one in about)
    if by_address:
        about = [one for one in about if Client.of(one).mac is None or (record and one.name == record.name)]
    writes = _ends(about, known, revoke.requested_at, revoke.trace_id, now)
    if record is None or recorded or (about and not by_address):
        return writes
    return [*writes, record]


def end_whoever_is_there(record: Session, sessions: Iterable[Session], now: datetime) -> list[Write]:
    """Decide about a revoke that named an address alone, given the Device's unfinished Sessions: once its router showed
    who has the address, what that client had by then ends, and after that the record names it (A4, B2).
    """
    there, moment = record.placed, record.spec.revoked_at
    if not asks_who_is_there(record) or there is None or there.mac_address is None or moment is None:
        return []
    known = list(sessions)
    client = Client(mac=there.mac_address)
    trace_id = record.metadata.annotations.get(ANNOTATION_TRACE_ID, "")
    ends = _ends([one for one in known if client.is_in(one)], known, moment, trace_id, now)
    due = [write for write in ends if not isinstance(write, Keep)]
    return [*due, patch_write(record, {"client": {"macAddress": there.mac_address}})]


def _record(namespace: str, revoke: Revoke, device: Device, client: Client) -> Create:
    """Make the revoked Session of a revoke for which there is no other."""
    kind: SessionType = "Trial" if (revoke.order_id or "").startswith("trial:") else "Paid"
    place = revoke.order_id or place_of_order(
        session_id=None, client=client.key, requested_at=revoke.requested_at
    )
    return create_write(
        namespace,
        session_name(namespace, device.name, kind, place),
        device.name,
        client,
        trace_id=revoke.trace_id,
        type=kind,
        order_id=revoke.order_id,
        revoked=True,
        revoked_at=revoke.requested_at,
        requested_at=revoke.requested_at,
    )


def _is_about(revoke: Revoke, client: Client, session: Session) -> bool:
    if revoke.order_id is not None:
        return session.spec.order_id == revoke.order_id
    return client.is_in(session)


def _ends(
    about: Iterable[Session], known: Iterable[Session], moment: datetime, trace_id: str, now: datetime
) -> list[Write]:
    """Give the ends of Sessions that a revoke of `moment` is about; another that stands in for one is what counts."""
    replaced = {session.spec.supersedes.name for session in known if session.spec.supersedes}
    return [
        Keep(session) if ended_by_clock(session, now) else revoke_write(session, moment, trace_id=trace_id)
        for session in about
        if session.name not in replaced and not is_finished(session) and not _later(session, moment)
    ]


def _later(session: Session, moment: datetime) -> bool:
    """Say whether the Session was asked for after the revoke: then it is not what the revoke is about."""
    cause = cause_of(session)
    return cause is not None and cause > moment

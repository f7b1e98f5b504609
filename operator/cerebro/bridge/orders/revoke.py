"""Decides what a revoke does to Sessions (A4, A10, B2). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Cause, Client, Revoke
from cerebro.bridge.orders.causes import (
    noted_request,
    noted_revoke,
    request_of,
    revoke_of,
)
from cerebro.bridge.orders.writes import (
    Create,
    Keep,
    Write,
    create_write,
    patch_write,
    revoke_write,
)
from cerebro.domain.by_address import asks_who_is_there
from cerebro.domain.lifecycle import session_facts
from cerebro.domain.supersession import superseded_names
from cerebro.resources import (
    Device,
    Session,
    format_time,
    place_of_order,
    session_name,
)
from cerebro.resources.naming import ANNOTATION_TRACE_ID
from cerebro.resources.session import SessionType

_NEVER: Mapping[str, Cause] = {}
"""No Session was asked for again."""


def decide_revoke(
    namespace: str,
    revoke: Revoke,
    device: Device,
    sessions: Iterable[Session],
    *,
    client: Client,
    now: datetime,
    linked: Collection[str] = (),
    asked_again: Mapping[str, Cause] = _NEVER,
) -> list[Write]:
    """Return the writes of a revoke, given the unfinished Sessions that it may
    be about and those that stand in their places: the order's on any Device,
    else the client's and the token's on this one.

    `linked` are the names of Sessions that were made for the token which
    stands for the client; `asked_again` are requests that are not noted at
    their Sessions yet, by name. A Session that was requested later than the
    revoke stays; where the revoke ends nothing for that reason it is ApiError 409
    `asked_later`, unless it named an address alone. A client, or an order
    alone, that has no Session gets a revoked one, so that the router is rid of
    rows that the older relay made for it. So does an address alone:
    the one where a Session's phone was seen is minutes old, and only the
    router knows who is there now (B2, see `end_whoever_is_there`).
    """

    record = _record(namespace, revoke, device, client)
    record_name = record.name if record is not None else None

    known = list(sessions)
    if revoke.order_id is None:
        # Without an order it is about this Device only.
        known = [
            session
            for session in known
            if session.spec.device_ref.name == device.name
        ]

    affected = _affected(revoke, client, known, linked)
    is_recorded = any(session.name == record_name for session in affected)

    # An address alone ends at once only what names no MAC: who has that
    # address now is for the router to show.
    by_address = revoke.order_id is None and not linked and client.mac is None
    if by_address:
        affected = _without_mac(affected, record_name)

    ending, later = _by_cause(affected, revoke.cause, asked_again)
    writes = _ends(ending, known, revoke.cause, revoke.trace_id, now)
    if not writes and not by_address:
        _raise_if_asked_later(later, known, asked_again, now)

    needs_record = by_address or not affected
    if record is None or is_recorded or not needs_record:
        return writes

    return [*writes, record]


def end_whoever_is_there(
    record: Session, sessions: Iterable[Session], now: datetime
) -> list[Write]:
    """Return the writes of a revoke that named an address alone, given the
    unfinished Sessions of who has it on its Device.

    Once its router showed who has the address, what that client had by then
    ends; after that the record names the client (A4, B2). Until then nothing
    is due.
    """

    placed, cause = record.placed, revoke_of(record)
    if not asks_who_is_there(record) or cause is None:
        return []

    if placed is None or placed.mac_address is None:
        return []

    known = list(sessions)
    client = Client(mac=placed.mac_address)
    of_client = [session for session in known if client.is_in(session)]
    affected, _ = _by_cause(of_client, cause, _NEVER)
    trace_id = record.metadata.annotations.get(ANNOTATION_TRACE_ID, "")
    ends = _ends(affected, known, cause, trace_id, now)
    due = [write for write in ends if not isinstance(write, Keep)]

    return [
        *due,
        patch_write(record, {"client": {"macAddress": placed.mac_address}}),
    ]


def _record(
    namespace: str, revoke: Revoke, device: Device, client: Client
) -> Create | None:
    """Return the write of a Session that is revoked from its beginning, for a
    revoke that meets none; None where nothing says whom it means.
    """
    if not client and revoke.order_id is None:
        return None

    order_id = revoke.order_id or ""
    session_type: SessionType = (
        "Trial" if order_id.startswith("trial:") else "Paid"
    )

    place = order_id or place_of_order(
        session_id=None, client=client.key, requested_at=revoke.requested_at
    )

    return create_write(
        namespace,
        session_name(namespace, device.name, session_type, place),
        device.name,
        client,
        trace_id=revoke.trace_id,
        annotations=noted_request(revoke.cause) | noted_revoke(revoke.cause),
        type=session_type,
        order_id=revoke.order_id,
        revoked=True,
        revoked_at=revoke.requested_at,
        requested_at=revoke.requested_at,
    )


def _affected(
    revoke: Revoke,
    client: Client,
    known: Iterable[Session],
    linked: Collection[str],
) -> list[Session]:
    """Return the Sessions that a revoke is about: those of its order, else
    those of its client or token (A4).
    """
    if revoke.order_id is not None:
        return [
            session
            for session in known
            if session.spec.order_id == revoke.order_id
        ]

    return [
        session
        for session in known
        if session.name in linked or client.is_in(session)
    ]


def _without_mac(
    sessions: Iterable[Session], record_name: str | None
) -> list[Session]:
    """Return the Sessions whose client has no MAC that is known, and the
    record of the revoke itself.
    """
    return [
        session
        for session in sessions
        if session.name == record_name or Client.of(session).mac is None
    ]


def _ends(
    affected: Iterable[Session],
    known: Iterable[Session],
    revoke: Cause,
    trace_id: str,
    now: datetime,
) -> list[Write]:
    """Return the ends of the Sessions that a revoke is about, given all that
    are known.

    One that ended by the clock is kept, so that its router is waited for. A
    Session in whose place another one stands is left alone: that one counts.
    """
    superseded = superseded_names(known)
    writes: list[Write] = []
    for session in affected:
        facts = session_facts(session, now)
        if session.name in superseded or facts.finished:
            continue

        if facts.ended_by_clock:
            writes.append(Keep(session))
        else:
            writes.append(revoke_write(session, revoke, trace_id=trace_id))

    return writes


def _by_cause(
    sessions: Iterable[Session],
    revoke: Cause,
    asked_again: Mapping[str, Cause],
) -> tuple[list[Session], list[Session]]:
    """Return the Sessions that a revoke may end, and those that were asked for
    after it.
    """
    earlier: list[Session] = []
    later: list[Session] = []
    for session in sessions:
        request = _latest_request(session, asked_again)
        is_later = request is not None and revoke.precedes(request)
        (later if is_later else earlier).append(session)

    return earlier, later


def _latest_request(
    session: Session, asked_again: Mapping[str, Cause]
) -> Cause | None:
    """Return when a Session was asked for last, also if that is not noted
    there yet.
    """
    request, again = request_of(session), asked_again.get(session.name)
    if request is None or again is None:
        return request or again

    return again if request.precedes(again) else request


def _raise_if_asked_later(
    later: Iterable[Session],
    known: Iterable[Session],
    asked_again: Mapping[str, Cause],
    now: datetime,
) -> None:
    """Raise ApiError 409 `asked_later` if one of the Sessions lives that were
    asked for after the revoke that is about them.
    """
    superseded = superseded_names(known)
    for session in later:
        request = _latest_request(session, asked_again)
        is_live = session_facts(session, now).live
        if request is None or session.name in superseded or not is_live:
            continue

        requested_at = format_time(request.asked_at)
        raise ApiError(
            409,
            "asked_later",
            f"the Session {session.name} was asked for after this revoke, at {requested_at}: it stays",
            requestedAt=requested_at,
        )

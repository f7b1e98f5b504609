"""Decides what a hello with a new address changes (A6). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from cerebro.bridge.intents import Client, Hello
from cerebro.bridge.orders.causes import noted_request
from cerebro.bridge.orders.writes import (
    Create,
    Write,
    create_write,
    known_end,
    moved_client,
    patch_write,
)
from cerebro.domain.lifecycle import session_facts
from cerebro.resources import Device, Session, supersession_name


def decide_move(
    namespace: str,
    hello: Hello,
    device: Device,
    sessions: Iterable[Session],
    now: datetime,
) -> list[Write]:
    """Return the writes by which the live Sessions of a phone on this Device
    follow it to its new address.

    A Session that was requested after the hello stays: it knows the phone
    better.
    """
    writes: list[Write] = []
    for session in _live_on(device, sessions, now):
        facts = session_facts(session, now)
        moved = moved_client(session, hello.client)
        requested_since = (
            facts.cause is not None and facts.cause > hello.requested_at
        )
        if moved is None or requested_since:
            continue

        if facts.ours:
            writes.append(
                patch_write(
                    session, {"client": moved}, trace_id=hello.trace_id
                )
            )
        else:
            writes.append(_stand_in(namespace, hello, device, session))

    return writes


def changes_mac(
    hello: Hello, device: Device, sessions: Iterable[Session], now: datetime
) -> bool:
    """Return whether a hello gives one of the phone's live Sessions another
    MAC: that counts as a move (A6).
    """
    macs = {
        Client.of(session).mac for session in _live_on(device, sessions, now)
    }

    return not macs <= {None, hello.client.mac}


def _live_on(
    device: Device, sessions: Iterable[Session], now: datetime
) -> Iterator[Session]:
    """Yield the Sessions that are live on a Device."""
    for session in sessions:
        if (
            session.spec.device_ref.name == device.name
            and session_facts(session, now).live
        ):
            yield session


def _stand_in(
    namespace: str, hello: Hello, device: Device, session: Session
) -> Create:
    """Return the Session of ours that stands in place of somebody else's, with
    the new address (A10).
    """
    spec = session.spec
    return create_write(
        namespace,
        supersession_name(namespace, device.name, spec.type, session.name),
        device.name,
        hello.client,
        trace_id=hello.trace_id,
        annotations=noted_request(hello.cause),
        supersedes=session.name,
        type=spec.type,
        order_id=spec.order_id,
        requested_at=hello.requested_at,
        **known_end(session),
    )

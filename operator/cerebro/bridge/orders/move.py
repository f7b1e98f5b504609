"""Decides what a hello with a new address changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cerebro.bridge.intents import Client, Hello
from cerebro.bridge.orders.writes import Write, create_write, known_end, moved_client, patch_write
from cerebro.domain.lifecycle import cause_of, is_live
from cerebro.domain.supersession import is_ours
from cerebro.resources import Device, Session, supersession_name


def decide_move(
    namespace: str, hello: Hello, device: Device, sessions: Iterable[Session], now: datetime
) -> list[Write]:
    """Decide about a phone that came back with another address: its live Sessions on this Device go with
    it (A6)."""
    writes: list[Write] = []
    for session in sessions:
        if session.spec.device_ref.name != device.name or not is_live(session, now):
            continue
        moved = moved_client(session, hello.client)
        cause = cause_of(session)
        if moved is None or (cause is not None and cause > hello.requested_at):
            continue
        if is_ours(session):
            writes.append(patch_write(session, {"client": moved}, trace_id=hello.trace_id))
            continue
        spec = session.spec
        writes.append(
            create_write(
                namespace,
                supersession_name(namespace, device.name, spec.type, session.name),
                device.name,
                hello.client,
                trace_id=hello.trace_id,
                supersedes=session.name,
                type=spec.type,
                order_id=spec.order_id,
                requested_at=hello.requested_at,
                **known_end(session),
            )
        )
    return writes


def changes_mac(hello: Hello, device: Device, sessions: Iterable[Session], now: datetime) -> bool:
    """Say whether following a phone gives one of its live Sessions another MAC: what is counted as a move (A6)."""
    return any(
        Client.of(session).mac not in (None, hello.client.mac)
        for session in sessions
        if session.spec.device_ref.name == device.name and is_live(session, now)
    )

"""When a peer is online: what its handshakes tell. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from cerebro.resources import Peer

State = Literal["NeverConnected", "Online", "Offline"]


_READINGS_UNTIL_OFFLINE = 2  # rule E5


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of a peer's handshakes from one reading to the next."""

    state: State
    last_handshake: float = 0.0
    """Unix seconds; 0 means never."""
    misses: int = 0
    """Readings in a row without a recent handshake."""


def contact(before: Contact | None, last_handshake: float, now: float, online_within: timedelta) -> Contact:
    """Judge a peer by one more reading: Offline after two without a handshake younger than `online_within`.

    `now` is the wall clock, as the handshake's time. A handshake from the future counts as recent.
    """
    latest = max(last_handshake, before.last_handshake if before else 0.0)
    if last_handshake and now - last_handshake <= online_within.total_seconds():
        return Contact("Online", latest)
    if not latest and (before is None or before.state == "NeverConnected"):
        return Contact("NeverConnected")
    misses = before.misses + 1 if before else 1
    was_online = before is not None and before.state == "Online"
    if was_online and misses < _READINGS_UNTIL_OFFLINE:
        return Contact("Online", latest, misses)
    return Contact("Offline", latest, misses)


def contact_said(peer: Peer) -> Contact | None:
    """Return what the status says of a peer's handshakes; None when it says nothing of its key."""
    status = peer.status
    if status.state is None or status.applied_public_key != peer.spec.public_key:
        return None
    at = status.last_handshake_time
    return Contact(status.state, at.timestamp() if at else 0.0)


def lost(before: Contact) -> Contact:
    """Judge a peer whose interface is known not to be there."""
    return replace(before, state="Offline") if before.state == "Online" else before

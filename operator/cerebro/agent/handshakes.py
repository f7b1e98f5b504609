"""When a peer is online: what its handshakes show from one reading to the
next. Pure.

A reading is one look at the interface. This module keeps nothing: each contact
is made from the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from cerebro.resources import Peer

State = Literal["NeverConnected", "Online", "Offline"]

_READINGS_UNTIL_OFFLINE = 2
"""Readings in a row without a recent handshake after which a peer is Offline
(rule E5).
"""


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of a peer's handshakes at one reading."""

    state: State

    last_handshake: float = 0.0
    """Unix seconds; 0 means never."""

    misses: int = 0
    """Readings in a row without a recent handshake."""


def next_contact(
    before: Contact | None,
    last_handshake: float,
    now: float,
    online_within: timedelta,
) -> Contact:
    """Return the contact at one more reading: Offline after two without a
    handshake younger than `online_within`.

    `last_handshake` and `now` are Unix seconds of the same clock. A handshake
    from the future counts as recent. A peer that was made anew has no
    handshake (0): the one before stays the last.
    """

    latest = max(
        last_handshake, before.last_handshake if before is not None else 0.0
    )

    recent = now - last_handshake <= online_within.total_seconds()
    if last_handshake and recent:
        return Contact("Online", latest)

    never_before = before is None or before.state == "NeverConnected"
    if not latest and never_before:
        return Contact("NeverConnected")

    misses = before.misses + 1 if before is not None else 1
    was_online = before is not None and before.state == "Online"
    if was_online and misses < _READINGS_UNTIL_OFFLINE:
        return Contact("Online", latest, misses)

    return Contact("Offline", latest, misses)


def contact_in_status(peer: Peer) -> Contact | None:
    """Return the contact that a Peer's status shows; None if it shows none, or
    that of another key.
    """
    status = peer.status
    if (
        status.state is None
        or status.applied_public_key != peer.spec.public_key
    ):
        return None

    last_handshake = status.last_handshake_time

    return Contact(
        status.state,
        last_handshake.timestamp() if last_handshake is not None else 0.0,
    )


def lost(before: Contact) -> Contact:
    """Return the contact of a peer whose interface is known not to exist:
    Offline if it was online.
    """
    return (
        replace(before, state="Offline")
        if before.state == "Online"
        else before
    )

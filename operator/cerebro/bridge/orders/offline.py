"""Whether a request is refused because its router is offline (F5). Pure.

Offline means: the last handshake of the Device's Peer is older than
`spec.offlineAfter`. A Peer that was never there, or of which nothing is known,
refuses nothing.
"""

from __future__ import annotations

from datetime import datetime

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Intent
from cerebro.resources import Device, Peer, format_time


def refuse_offline(
    intent: Intent, device: Device | None, peer: Peer | None, now: datetime
) -> None:
    """Refuse an event that names the key of its router's Peer while that is
    offline.

    A key that this Peer does not have is that of nobody we know. Raises
    ApiError 409 `peer_offline`.
    """
    key = intent.peer_public_key
    if device is None or peer is None or key not in peer.keys:
        return

    _refuse_silent(device, peer, now)


def refuse_rejecting(device: Device, peer: Peer | None, now: datetime) -> None:
    """Refuse an order for a Device with `whenOffline: Reject` while that is
    offline. Who asks for an end is never refused by it.

    Raises ApiError 409 `peer_offline`.
    """
    if device.spec.when_offline != "Reject" or peer is None:
        return

    _refuse_silent(device, peer, now)


def _refuse_silent(device: Device, peer: Peer, now: datetime) -> None:
    """Raise ApiError 409 `peer_offline` if nothing was heard for too long."""
    status = peer.status
    heard_at = status.last_handshake_time
    if status.state != "Offline" or heard_at is None:
        return

    if now - heard_at <= device.spec.offline_after:
        return

    raise ApiError(
        409,
        "peer_offline",
        f"the router {device.router_id} is offline: no handshake since {format_time(heard_at)}",
    )

"""The tunnel of a Device: its condition TunnelUp, when its router may be
dialled, and when it came back. Pure.

The tunnel of a Device is the peer that its Peer has on the Hub's interface.
This module reads only the objects and readings that it is given: it knows no
interface and no loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cerebro.agent.handshakes import Contact, State
from cerebro.domain.conditions import ConditionState, Obstacle
from cerebro.resources import Device, Peer, format_time
from cerebro.wireguard.model import ActualPeer, Endpoint

NOT_CARRIED = ConditionState(
    "Unknown", "HubNotCarried", "this agent does not carry the Hub"
)

_GAP = 180.0
"""Seconds without a handshake after which WireGuard itself passes nothing any
more (REJECT_AFTER_TIME).
"""


def tunnel_up(
    device: Device, peer: Peer | None, contact: Contact | None
) -> ConditionState:
    """Return the state of condition TunnelUp of a Device.

    `peer` is the Device's Peer, None if it has none. `contact` is None if the
    Peer's key is not on the interface.
    """

    if device.spec.public_key is None:
        message = (
            f"spec.publicKey is empty: `cerebro bootstrap {device.name}` prints what the router needs; write "
            "the public key that it then shows there"
        )

        return ConditionState("False", "NoPublicKey", message)

    if peer is None:
        message = (
            "there is no Peer for it yet: the operator makes it; does it run?"
        )

        return ConditionState("False", "NoPeer", message)

    # A Peer that is refused, or kept from the interface, says why itself.
    refused = _state_if_false(peer, "Accepted") or _state_if_false(
        peer, "Applied"
    )

    if refused is not None:
        return refused

    if contact is None:
        return ConditionState(
            "False",
            "NoPeer",
            f"Peer {peer.name} is not on the Hub's interface yet",
        )

    return _state_of_contact(contact)


def _state_if_false(peer: Peer, condition_type: str) -> ConditionState | None:
    """Return the state of a condition of the Peer, in words about that Peer;
    None if it is not False.
    """
    condition = peer.status.condition(condition_type)
    if condition is None or condition.status != "False":
        return None

    return ConditionState(
        "False", condition.reason, f"Peer {peer.name}: {condition.message}"
    )


def _state_of_contact(contact: Contact) -> ConditionState:
    if contact.state == "NeverConnected":
        message = "the router has never dialled: check its peer, its endpoint and the way to the Hub's UDP port"
        return ConditionState("False", "NeverConnected", message)

    if contact.state == "Online":
        return ConditionState("True", "Online", "the last handshake is recent")

    at = format_time(datetime.fromtimestamp(int(contact.last_handshake), UTC))
    message = (
        f"no handshake since {at}: is the router on, and on the internet?"
    )

    return ConditionState("False", "HandshakeTooOld", message)


def dialling_obstacle(
    device: Device, tunnel: ConditionState
) -> Obstacle | None:
    """Return why the router must not be dialled now; None if it may be.
    `tunnel` is its condition TunnelUp.

    Without the peer on the interface a tunnel address leads out of the tunnel,
    and the password with it. A Device without a Hub, and one that is dialled
    at another address, do not depend on the tunnel.
    """

    if not device.dials_tunnel:
        return None

    if tunnel.reason == "NoPublicKey":
        return Obstacle(tunnel.reason, tunnel.message)

    if device.tunnel_address is None:
        return Obstacle(
            "NoTunnelAddress",
            "no tunnel address has been allocated yet",
            looked=False,
        )

    # The peer is on the interface, so nothing leaves the tunnel, however old
    # the handshake is.
    if tunnel.reason in ("Online", "HandshakeTooOld"):
        return None

    return Obstacle(
        tunnel.reason, tunnel.message, looked=tunnel.status != "Unknown"
    )


@dataclass(frozen=True, slots=True)
class TunnelSnapshot:
    """The peer of a Device as it was at one reading of the interface."""

    state: State

    last_handshake: float
    """Unix seconds; 0 means never."""

    endpoint: Endpoint | None
    """From where the router was heard last."""


def tunnel_snapshot(
    contact: Contact, actual: ActualPeer | None
) -> TunnelSnapshot:
    """Return the snapshot of a peer; `actual` is None if the last reading does
    not show the peer.
    """
    endpoint = actual.endpoint if actual is not None else None

    return TunnelSnapshot(contact.state, contact.last_handshake, endpoint)


def changed(before: TunnelSnapshot | None, now: TunnelSnapshot | None) -> bool:
    """Return whether a Device has something to report or to do about its
    tunnel; not at every handshake.

    None stands for a Device whose peer is not on the interface.
    """
    state_before = before.state if before is not None else None
    state_now = now.state if now is not None else None

    return state_before != state_now or came_back(before, now)


def came_back(
    before: TunnelSnapshot | None, now: TunnelSnapshot | None
) -> bool:
    """Return whether the router may answer again: a handshake after a gap, or
    from another endpoint (rule B5).
    """

    if now is None or now.state != "Online":
        return False

    if before is None or before.state != "Online":
        return True

    moved = now.endpoint is not None and now.endpoint != before.endpoint
    after_gap = now.last_handshake - before.last_handshake > _GAP

    return moved or after_gap

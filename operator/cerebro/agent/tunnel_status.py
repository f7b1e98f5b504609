"""What a Device has of its tunnel: condition TunnelUp, when its router may be dialled, when it is back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cerebro.agent.contacts import Contact, State
from cerebro.domain.conditions import ConditionState, Obstacle
from cerebro.resources import Device, Peer, format_time
from cerebro.wireguard.model import ActualPeer, Endpoint

NOT_CARRIED: ConditionState = ConditionState("Unknown", "HubNotCarried", "this agent does not carry the Hub")
_GAP = 180.0
"""Seconds without a handshake after which WireGuard itself passes nothing any more (REJECT_AFTER_TIME)."""


def tunnel_up(device: Device, peer: Peer | None, contact: Contact | None) -> ConditionState:
    """Return condition TunnelUp; `contact` None where the Peer's key is not on the interface."""
    if device.spec.public_key is None:
        message = (
            f"spec.publicKey is empty: `cerebro bootstrap {device.name}` prints what the router needs; write "
            "the public key that it then shows there"
        )
        return ConditionState("False", "NoPublicKey", message)
    if peer is None:
        return ConditionState(
            "False", "NoPeer", "there is no Peer for it yet: the operator makes it; does it run?"
        )
    refused = next((said for name in ("Accepted", "Applied") if (said := _no(peer, name))), None)
    if refused is not None:
        return refused
    if contact is None:
        return ConditionState("False", "NoPeer", f"Peer {peer.name} is not on the Hub's interface yet")
    return _heard(contact)


def _no(peer: Peer, name: str) -> ConditionState | None:
    said = peer.status.condition(name)
    if said is None or said.status != "False":
        return None
    return ConditionState("False", said.reason, f"Peer {peer.name}: {said.message}")


def _heard(contact: Contact) -> ConditionState:
    if contact.state == "NeverConnected":
        message = (
            "the router has never dialled: check its peer, its endpoint and the way to the Hub's UDP port"
        )
        return ConditionState("False", "NeverConnected", message)
    if contact.state == "Online":
        return ConditionState("True", "Online", "the last handshake is recent")
    at = format_time(datetime.fromtimestamp(int(contact.last_handshake), UTC))
    return ConditionState(
        "False", "HandshakeTooOld", f"no handshake since {at}: is the router on, and on the internet?"
    )


def dialling_obstacle(device: Device, said: ConditionState) -> Obstacle | None:
    """Say why the router must not be dialled now, from its TunnelUp.

    Without the peer on the interface a tunnel address leads out of the tunnel, and the password with it.
    """
    if device.spec.hub_ref is None or device.spec.api.address not in (None, device.tunnel_address):
        return None
    if said.reason == "NoPublicKey":
        return Obstacle(said.reason, said.message)
    if device.tunnel_address is None:
        return Obstacle("NoTunnelAddress", "no tunnel address has been allocated yet", looked=False)
    if said.reason in ("Online", "HandshakeTooOld"):
        return None
    return Obstacle(said.reason, said.message, looked=said.status != "Unknown")


@dataclass(frozen=True, slots=True)
class TunnelSnapshot:
    """How a Device's peer looked at one reading."""

    state: State
    last_handshake: float
    endpoint: Endpoint | None


def sight(contact: Contact, actual: ActualPeer | None) -> TunnelSnapshot:
    """Return how a peer on the interface looks."""
    return TunnelSnapshot(contact.state, contact.last_handshake, actual.endpoint if actual else None)


def changed(before: TunnelSnapshot | None, now: TunnelSnapshot | None) -> bool:
    """Tell whether a Device has something to say or to do about it; not at every handshake."""
    state = (before.state if before else None) != (now.state if now else None)
    return state or came_back(before, now)


def came_back(before: TunnelSnapshot | None, now: TunnelSnapshot | None) -> bool:
    """Tell whether the router may answer again: a handshake after a gap, or from elsewhere (rule B5)."""
    if now is None or now.state != "Online":
        return False
    if before is None or before.state != "Online":
        return True
    moved = before.endpoint != now.endpoint and now.endpoint is not None
    return moved or now.last_handshake - before.last_handshake > _GAP

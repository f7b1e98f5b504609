"""Who wrote the Ready condition of an object: its agent, or the operator in
its place. Pure.
"""

from __future__ import annotations

from cerebro.resources import Device, Hub, Peer, find_condition
from cerebro.resources.reasons import AGENT_LOST, OPERATOR_REASONS

Owned = Hub | Peer | Device


def says_lost(item: Owned) -> bool:
    """Return whether an object's Ready says that its agent is lost (rule E12)."""
    ready = find_condition(item.status.conditions, "Ready")
    return ready is not None and ready.reason == AGENT_LOST


def operator_says(device: Device) -> bool:
    """Return whether the operator wrote Ready of a Device, so that its agent
    must not.
    """
    ready = device.status.condition("Ready")
    return ready is not None and ready.reason in OPERATOR_REASONS

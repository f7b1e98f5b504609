"""What the Ready condition of an object says at a glance, and who wrote it:
its agent, or the operator in its place. Pure.
"""

from __future__ import annotations

from cerebro.resources import Condition, Device, Hub, Peer, find_condition
from cerebro.resources.reasons import AGENT_LOST, DRY_RUN, OPERATOR_REASONS

Owned = Hub | Peer | Device


def says_lost(item: Owned) -> bool:
    """Return whether an object's Ready says that its agent is lost (rule E12)."""
    ready = find_condition(item.status.conditions, "Ready")
    return ready is not None and ready.reason == AGENT_LOST


def is_served(ready: Condition) -> bool:
    """Return whether Ready of a Device says that its router is served as its
    spec asks: also if nothing is to be written, in dry run.
    """
    return ready.status == "True" or ready.reason == DRY_RUN


def operator_says(device: Device) -> bool:
    """Return whether the operator wrote Ready of a Device, so that its agent
    must not.
    """
    ready = device.status.condition("Ready")
    return ready is not None and ready.reason in OPERATOR_REASONS

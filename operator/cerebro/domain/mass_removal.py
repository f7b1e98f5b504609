"""The annotation that confirms a mass removal (E13). Pure."""

from __future__ import annotations

from cerebro.resources import Device

CONFIRM_REMOVAL = "relay.cerebro.dev/confirm-removal"


def until_confirmed(number: int) -> str:
    """Say which annotation lets a mass removal go on, for the condition of a Device or Hub (rule E13)."""
    return (
        f'until the annotation {CONFIRM_REMOVAL}: "{number}" says that this many may go; take it away afterwards, '
        "for it goes on letting up to that many go"
    )


def confirmed_removals(device: Device) -> int:
    """Return how many clients a person lets a mass removal end (rule E13)."""
    value = device.metadata.annotations.get(CONFIRM_REMOVAL, "")
    return int(value) if value.isdecimal() and len(value) < 9 else 0

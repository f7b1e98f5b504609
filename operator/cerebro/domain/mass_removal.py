"""The annotation that confirms a mass removal (E13). Pure."""

from __future__ import annotations

from cerebro.resources import Device

CONFIRM_REMOVAL = "relay.cerebro.dev/confirm-removal"
"""Annotation of a Device or Hub. Its value is how many a person lets go at
once.
"""

_MOST_DIGITS = 8


def until_confirmed(number: int) -> str:
    """Return the end of the message that says which annotation lets a mass
    removal of `number` go on.
    """
    return (
        f'until the annotation {CONFIRM_REMOVAL}: "{number}" says that this many may go; take it away afterwards, '
        "for it goes on letting up to that many go"
    )


def confirmed_removals(device: Device) -> int:
    """Return how many clients of a Device a person lets a mass removal end; 0
    if the annotation is no number.
    """
    value = device.metadata.annotations.get(CONFIRM_REMOVAL, "")
    is_number = value.isdecimal() and len(value) <= _MOST_DIGITS

    return int(value) if is_number else 0

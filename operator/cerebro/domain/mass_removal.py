"""What a mass removal is, and the annotation that confirms it (E13). Pure.

Many clients of a router, or many peers of a Hub, that would go at once are
perhaps objects that somebody deleted by mistake.
"""

from __future__ import annotations

from cerebro.resources import Device

CONFIRM_REMOVAL = "relay.cerebro.dev/confirm-removal"
"""Annotation of a Device or Hub. Its value is how many a person lets go at
once.
"""

_AT_LEAST = 10
_SHARE = 5  # more than a fifth
_MOST_DIGITS = 8


def is_mass_removal(going: int, present: int) -> bool:
    """Return whether so many of those that are present go at once that a
    person has to confirm it: ten or more, and more than a fifth.
    """
    return going >= _AT_LEAST and going * _SHARE > present


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

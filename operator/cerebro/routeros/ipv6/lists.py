"""Which interfaces are in an interface list of a router. Pure.

From MikroTik's manual (Interface Lists): a list has the members of the lists
that it includes, without those of the lists that it excludes; members of its
own stay.
"""

from __future__ import annotations

from cerebro.routeros.ipv6.reading import Ipv6Reading

_HAS_ALL = ("all", "static")
"""Lists of the router itself that have each interface a person made."""

_HAS_NONE = ("none", "dynamic")

_DEEPEST = 16
"""Lists in lists that are followed."""


def is_listed(
    name: str, interface: str, reading: Ipv6Reading, depth: int = 0
) -> bool | None:
    """Return whether a list has an interface; None if that is not known."""
    if name in _HAS_ALL:
        return True

    if name in _HAS_NONE:
        return False

    own_members = (
        row.get("interface")
        for row in reading.members
        if row.get("list") == name
    )
    if interface in own_members:
        return True

    if reading.lists is None or depth > _DEEPEST:
        return None

    row = next((row for row in reading.lists if row.get("name") == name), {})

    if _any_has(row.get("exclude", ""), interface, reading, depth):
        return False

    return _any_has(row.get("include", ""), interface, reading, depth)


def _any_has(
    names: str, interface: str, reading: Ipv6Reading, depth: int
) -> bool | None:
    """Return whether one of some lists has an interface."""
    answers = {
        is_listed(name, interface, reading, depth + 1)
        for name in names.split(",")
        if name
    }

    if True in answers:
        return True

    return None if None in answers else False

"""Whose a row is: ours, of another installation, of the older relay, or made by hand. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from cerebro.routeros.access.marker import Marker, is_legacy, parse_marker
from cerebro.routeros.access.model import AccessPolicy, Actual
from cerebro.routeros.menus.menu import Row, is_dynamic


class Ownership:
    """Whose the rows of a router are, by their comments (rule B4)."""

    def __init__(self, policy: AccessPolicy) -> None:
        self.policy = policy

    def marker(self, row: Row) -> Marker | None:
        """Return our marker on a row, None when it is not ours."""
        return None if is_dynamic(row) else parse_marker(row.get("comment"), self.policy.installation)

    def ours(self, row: Row) -> bool:
        """Return whether we made the row."""
        return self.marker(row) is not None

    def legacy(self, row: Row) -> bool:
        """Return whether the older relay made the row."""
        return not is_dynamic(row) and is_legacy(row.get("comment"))

    def foreign(self, row: Row) -> bool:
        """Return whether somebody else made the row: it is never touched."""
        return not self.ours(row) and not self.legacy(row)


def latest_ends(markers: Iterable[Marker | None]) -> dict[str, int | None]:
    """Return the latest end that markers say, by client id: in unix seconds, None for never."""
    ends: dict[str, int | None] = {}
    for marker in markers:
        if marker is None:
            continue
        known = ends.get(marker.client_id, 0)
        never = known is None or marker.until is None
        ends[marker.client_id] = None if never else max(known or 0, marker.until or 0)
    return ends


def marked_ends(actual: Actual, policy: AccessPolicy) -> dict[str, int | None]:
    """Return the latest end that the rows of each client say, by client id: what an agent that died has promised
    (rule A11).
    """
    whose = Ownership(policy)
    return latest_ends(whose.marker(row) for row in (*actual.bindings, *actual.lists))

"""The comment of an entry on a router: the marker that says whose it is and
until when (rules A3, B3), and whose the entries without one are (rule B4).

The form is `cerebro:<installation>:<client id>:<until>`: ASCII and short,
because old tools of RouterOS store other text in the code page of whoever
typed it.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cerebro.routeros.menus.menu import Row, is_dynamic

_PREFIX = "cerebro"
ID_LENGTH = 10
"""Characters of a client id."""

_MARKER = re.compile(
    r"cerebro:([A-Za-z0-9_.-]{1,32}):([0-9a-f]{10}):(never|[0-9]{1,12})\Z"
)
# What the relay before Cérebro and its dashboards wrote: `pedido:<id>` and
# `paid:<order>`.
_LEGACY = re.compile(r"(?:pedido|paid):.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker; `until` is in unix seconds, None for ever."""

    installation: str
    client_id: str
    until: int | None

    def __str__(self) -> str:
        until = "never" if self.until is None else str(self.until)
        return f"{prefix(self.installation)}{self.client_id}:{until}"

    def passed(self, now: float | None) -> bool:
        """Tell whether its end has come; `now` in unix seconds, None when no
        clock can be trusted.
        """
        return self.until is not None and now is not None and self.until <= now


def prefix(installation: str) -> str:
    """Return with what all markers of an installation begin."""
    return f"{_PREFIX}:{installation}:"


def client_id(key: str) -> str:
    """Return the first 10 hex digits of SHA-256 over a client key (a MAC, else
    an IPv4 address).
    """
    return hashlib.sha256(key.encode()).hexdigest()[:ID_LENGTH]


def marker_for(installation: str, key: str, until: float | None) -> Marker:
    """Return the marker of a client whose access ends at `until` (unix
    seconds, rounded up so that none is lost).
    """
    return Marker(installation, client_id(key), marker_end(until))


def marker_end(until: float | None) -> int | None:
    """Return the end that a marker says for an end in Unix seconds; None for
    never.
    """
    return None if until is None else math.ceil(until)


def parse_marker(comment: str | None, installation: str) -> Marker | None:
    """Return the marker in a comment, or None when it has none or another
    installation's: such rows are foreign.
    """
    match = _MARKER.match(comment or "")
    if match is None or match[1] != installation:
        return None

    return Marker(
        match[1], match[2], None if match[3] == "never" else int(match[3])
    )


def is_legacy(comment: str | None) -> bool:
    """Tell whether a comment is one of the relay that Cérebro replaces; its
    rows are taken over (rule B4).
    """
    return _LEGACY.match(comment or "") is not None


def legacy_comments(order: str) -> frozenset[str]:
    """Return the comments that the rows of an order may have which the older
    relay or one of its dashboards granted.
    """
    return frozenset({f"pedido:{order}", f"paid:{order}"})


class Ownership:
    """Whose the rows of a router are, by their comments (rule B4)."""

    def __init__(self, installation: str) -> None:
        self._installation = installation

    def marker(self, row: Row) -> Marker | None:
        """Return our marker on a row, None when it is not ours."""
        return (
            None
            if is_dynamic(row)
            else parse_marker(row.get("comment"), self._installation)
        )

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
    """Return the latest end that markers say, by client id: in unix seconds,
    None for never.
    """
    ends: dict[str, int | None] = {}
    for marker in markers:
        if marker is None:
            continue

        known = ends.get(marker.client_id, 0)
        never = known is None or marker.until is None
        ends[marker.client_id] = (
            None if never else max(known or 0, marker.until or 0)
        )

    return ends


def marked_ends(
    rows: Iterable[Row], installation: str
) -> dict[str, int | None]:
    """Return the latest end that the rows of each client say, by client id:
    what an agent that died has promised (rule A11).
    """
    whose = Ownership(installation)
    return latest_ends(whose.marker(row) for row in rows)

"""The marker in `comment` that says whose an entry on a router is and until when (rules A3, B3, B4).

The form is `cerebro:<installation>:<client id>:<until>`: ASCII and short, because old tools of RouterOS store
other text in the code page of whoever typed it (reference: RouterOS text encoding).
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass

_PREFIX = "cerebro"
_MARKER = re.compile(r"cerebro:([A-Za-z0-9_.-]{1,32}):([0-9a-f]{10}):(never|[0-9]{1,12})\Z")
# What the relay before Cérebro and its dashboards wrote: `pedido:<id>` and `paid:<order>`.
_LEGACY = re.compile(r"(?:pedido|paid):.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker; `until` is in unix seconds, None for ever."""

    installation: str
    client_id: str
    until: int | None

    def __str__(self) -> str:
        until = "never" if self.until is None else str(self.until)
        return f"{_PREFIX}:{self.installation}:{self.client_id}:{until}"

    def passed(self, now: float | None) -> bool:
        """Tell whether its end has come; `now` in unix seconds, None when no clock can be trusted."""
        return self.until is not None and now is not None and self.until <= now


def client_id(key: str) -> str:
    """Return the first 10 hex digits of SHA-256 over a client key (a MAC, else an IPv4 address)."""
    return hashlib.sha256(key.encode()).hexdigest()[:10]


def marker_for(installation: str, key: str, until: float | None) -> Marker:
    """Return the marker of a client whose access ends at `until` (unix seconds, rounded up so that none is
    lost).
    """
    return Marker(installation, client_id(key), None if until is None else math.ceil(until))


def parse_marker(comment: str | None, installation: str) -> Marker | None:
    """Return the marker in a comment, or None when it has none or another installation's: such rows are
    foreign.
    """
    match = _MARKER.match(comment or "")
    if match is None or match[1] != installation:
        return None
    return Marker(match[1], match[2], None if match[3] == "never" else int(match[3]))


def is_legacy(comment: str | None) -> bool:
    """Tell whether a comment is one of the relay that Cérebro replaces; its rows are taken over (rule B4)."""
    return _LEGACY.match(comment or "") is not None

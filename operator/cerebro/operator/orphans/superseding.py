"""When superseding Sessions go (rule A10): some time after what they stand in for was last seen.

They have no ttl, for Git may make the superseded one again at any time. "Last seen" is counted on this
process's clock, from its start at the latest: a restart can only make one stay longer. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

Name = tuple[str, str]
"""Namespace and name."""


class Superseding(NamedTuple):
    """A Session that stands in for another of its namespace."""

    namespace: str
    name: str
    uid: str
    superseded: str


@dataclass
class LastSeen:
    """Remembers when what each superseding Session stands in for was last there; as large as their number."""

    keep: float
    """Seconds that a superseding Session stays after that."""
    _seen: dict[str, float] = field(default_factory=dict)

    def due(
        self, superseding: Iterable[Superseding], present: Collection[Name], now: float
    ) -> list[Superseding]:
        """Look at all Sessions (`now` is monotonic) and give the superseding ones that are due to go."""
        seen: dict[str, float] = {}
        due: list[Superseding] = []
        for session in superseding:
            is_there = (session.namespace, session.superseded) in present
            seen[session.uid] = now if is_there else self._seen.get(session.uid, now)
            if now - seen[session.uid] >= self.keep:
                due.append(session)
        self._seen = seen
        return due

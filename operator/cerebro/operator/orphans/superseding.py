"""When superseding Sessions go (rule A10): some time after the Session in
whose place they stand was last seen. Pure.

They have no ttl, for Git may make the superseded Session anew at any time.
"Last seen" is counted on this process's clock, from its start at the latest: a
restart can only make one stay longer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from cerebro.kube.objects import Name


class Superseding(NamedTuple):
    """A Session that stands in place of another one of its namespace."""

    namespace: str
    name: str
    uid: str
    superseded: str
    """Name of the other one."""


@dataclass
class LastSeen:
    """Remembers when each superseded Session was last there; as large as the
    number of superseding ones.
    """

    keep: float
    """Seconds that a superseding Session stays after that."""
    _seen: dict[str, float] = field(default_factory=dict)
    """Monotonic seconds, by UID of the superseding Session."""

    def due(
        self,
        superseding: Iterable[Superseding],
        present: Collection[Name],
        now: float,
    ) -> list[Superseding]:
        """Return the superseding Sessions that are due to go, given all
        Sessions that are present.

        `now` is in monotonic seconds.
        """

        seen: dict[str, float] = {}
        due: list[Superseding] = []
        for session in superseding:
            is_present = (session.namespace, session.superseded) in present
            seen[session.uid] = (
                now if is_present else self._seen.get(session.uid, now)
            )

            if now - seen[session.uid] >= self.keep:
                due.append(session)

        self._seen = seen

        return due

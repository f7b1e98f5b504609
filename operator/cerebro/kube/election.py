"""Who of several may act by a Lease (rules E1, E12, E14). Pure: times are
passed in, nothing is asked.

A holder counts the Lease from before it sent the renewal; a rival counts it
from when it saw the renewal, and waits its full length. So the first always
ends before the second begins, whatever the wall clocks say. A Lease that was
deleted ends nothing before its time: its holder makes it again at the next
renewal, a rival waits as if it had seen one more renewal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from cerebro.runtime.times import BootTime


@dataclass(frozen=True)
class LeaseRecord:
    """A Lease as the API server has it."""

    holder: str
    """Identity of the holder, "" if nobody holds it."""
    duration: float
    """Seconds after the last renewal for which it is held."""
    resource_version: str
    transitions: int = 0
    acquired: str | None = None
    """When the holder took it, as the holder wrote it."""

    @classmethod
    def from_manifest(cls, manifest: dict[str, Any]) -> LeaseRecord:
        """Read a coordination.k8s.io/v1 Lease. Raises KeyError for what the
        API server never sends.
        """
        spec = manifest.get("spec") or {}

        return cls(
            holder=spec.get("holderIdentity") or "",
            duration=float(spec.get("leaseDurationSeconds") or 0),
            resource_version=manifest["metadata"]["resourceVersion"],
            transitions=int(spec.get("leaseTransitions") or 0),
            acquired=spec.get("acquireTime"),
        )


class Move(Enum):
    """What to do about a Lease now."""

    CREATE = "create"
    """It does not exist, and nobody can hold it any more."""
    RENEW = "renew"
    """It is ours."""
    TAKE = "take"
    """Nobody holds it, or its holder has not renewed it for its length."""
    WAIT = "wait"
    """Another may hold it."""


class Election:
    """Decides from what was read and written when a Lease is held and what to
    do next.
    """

    def __init__(self, identity: str, duration: float) -> None:
        """`identity` is who we are; `duration` the seconds for which a renewal
        of ours holds.
        """

        self.identity = identity
        self.duration = duration
        self._seen: LeaseRecord | None = None
        self._changed_at = BootTime(0.0)
        self._held_until: BootTime | None = None

    def observe(self, record: LeaseRecord | None, now: BootTime) -> Move:
        """Return what to do about the Lease that was read at `now`; None if no
        such Lease exists.
        """

        if record is None:
            return self._missing(now)

        # A rival's renewal is counted from when we saw it, not from the time
        # that the rival wrote.
        if (
            self._seen is None
            or self._seen.resource_version != record.resource_version
        ):
            self._changed_at = now

        self._seen = record
        if record.holder == self.identity:
            return Move.RENEW

        self._held_until = None
        ran_out = now - self._changed_at >= max(record.duration, self.duration)
        if not record.holder or ran_out:
            return Move.TAKE

        return Move.WAIT

    def _missing(self, now: BootTime) -> Move:
        """Return what to do about a Lease that does not exist.

        Whoever held it when it was deleted may act until it runs out.
        """

        seen = self._seen
        if seen is None or not seen.holder or self.held(now):
            return Move.CREATE

        # Its last renewal may have come after our last look, so its length is
        # counted from now, once.
        if seen.resource_version:
            self._seen = replace(seen, resource_version="")
            self._changed_at = now

        ran_out = now - self._changed_at >= max(seen.duration, self.duration)

        return Move.CREATE if ran_out else Move.WAIT

    def written(self, record: LeaseRecord, sent_at: BootTime) -> None:
        """Note a write of ours that the server took; `sent_at` is the time
        before the request.
        """
        self._seen = record
        self._changed_at = sent_at
        self._held_until = BootTime(
            sent_at + min(self.duration, record.duration)
        )

    def lost(self) -> None:
        """Note that the Lease is not ours any more, or was given back."""
        self._held_until = None

    def held(self, now: BootTime) -> bool:
        """Return whether we hold the Lease at `now`."""
        return self._held_until is not None and now < self._held_until

    def held_until(self) -> BootTime | None:
        """Return the time until which we hold the Lease without another
        renewal; None if we do not hold it.
        """
        return self._held_until

    def ours(self) -> LeaseRecord | None:
        """Return the record as our last write left it; None if another, or
        nobody, was seen to have it.
        """
        if self._seen is None or self._seen.holder != self.identity:
            return None

        return self._seen

    def taken(self) -> bool:
        """Return whether another was seen to hold the Lease."""
        return self._seen is not None and self._seen.holder not in (
            "",
            self.identity,
        )

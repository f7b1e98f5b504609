"""Leases: who of several may act (rules E1, E12, E14). Held is judged on our own node's clock, which nobody sets.

`Election` decides and is pure; `Lease` asks the API server and keeps time. A holder counts the Lease from
before it sent the renewal; a rival counts it from when it saw the renewal, and waits its full length. So the
first always ends before the second begins, whatever the wall clocks say. A Lease that was deleted ends nothing
before its time: its holder makes it again at the next renewal, a rival waits as if it had seen one more renewal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import AlreadyExists, Conflict, KubeError, NotFound
from cerebro.runtime import metrics
from cerebro.runtime.clock import boottime

log = logging.getLogger(__name__)

_RELEASE = 5.0  # seconds in which a Lease is to be given back (rule E14)
_AGAIN = 0.2


@dataclass(frozen=True)
class LeaseRecord:
    """A Lease as the API server has it; duration in seconds."""

    holder: str
    duration: float
    resource_version: str
    transitions: int = 0
    acquired: str | None = None

    @classmethod
    def from_manifest(cls, manifest: dict[str, Any]) -> LeaseRecord:
        """Read a coordination.k8s.io/v1 Lease."""
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
    RENEW = "renew"
    TAKE = "take"
    WAIT = "wait"


class Election:
    """The decision part: fed with what was read and written and with monotonic times, it says what to do."""

    def __init__(self, identity: str, duration: float) -> None:
        self.identity = identity
        self.duration = duration
        self._seen: LeaseRecord | None = None
        self._changed_at = 0.0
        self._held_until: float | None = None

    def observe(self, record: LeaseRecord | None, now: float) -> Move:
        """Take what the server has (None: no such Lease), read at monotonic time `now`, and decide."""
        if record is None:
            return self._missing(now)
        if self._seen is None or self._seen.resource_version != record.resource_version:
            self._changed_at = now
        self._seen = record
        if record.holder == self.identity:
            return Move.RENEW
        self._held_until = None
        if not record.holder or now - self._changed_at >= max(record.duration, self.duration):
            return Move.TAKE
        return Move.WAIT

    def _missing(self, now: float) -> Move:
        """Decide about a Lease that is not there: who had it when it was deleted may go on until it runs out."""
        seen = self._seen
        if seen is None or not seen.holder or self.held(now):
            return Move.CREATE
        if seen.resource_version:  # the last renewal may have come after our last look
            self._seen, self._changed_at = replace(seen, resource_version=""), now
        return Move.CREATE if now - self._changed_at >= max(seen.duration, self.duration) else Move.WAIT

    def written(self, record: LeaseRecord, sent_at: float) -> None:
        """Note a write of ours that the server took; `sent_at` is the time before the request."""
        self._seen, self._changed_at = record, sent_at
        self._held_until = sent_at + min(self.duration, record.duration)

    def lost(self) -> None:
        """Note that the Lease is not ours any more, or was given back."""
        self._held_until = None

    def held(self, now: float) -> bool:
        """Say whether we hold it at this moment."""
        return self._held_until is not None and now < self._held_until

    def ours(self) -> LeaseRecord | None:
        """Give the record as our last write left it; None when another was seen to have it, or nobody."""
        return self._seen if self._seen is not None and self._seen.holder == self.identity else None

    def taken(self) -> bool:
        """Say whether another was seen to hold it."""
        return self._seen is not None and self._seen.holder not in ("", self.identity)

    def held_until(self) -> float | None:
        """Give the monotonic time until which we hold it without another renewal; None: not held."""
        return self._held_until


class Lease:
    """One Lease: `run()` acquires, renews and, with `release`, gives it back at its end.

    `identity` must differ between processes that may run at once: one that finds its own name in the Lease
    goes on with it at once. `gained` and `lost` are called, in turns, at once when that happens, `renewed`
    after each write that the server took. Without `release` the next process of that identity goes on with it.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: float = 15.0,
        renew: float = 5.0,
        gained: Callable[[], None] | None = None,
        lost: Callable[[], None] | None = None,
        renewed: Callable[[], None] | None = None,
        release: bool = True,
    ) -> None:
        self._api = api
        self.namespace = namespace
        self.name = name
        self._whole = max(1, int(duration))
        self._election = Election(identity, float(self._whole))
        self._renew = min(renew, self._whole / 2)
        self._gained = gained
        self._lost = lost
        self._renewed = renewed
        self._give_back = release
        self._told = False
        self._had = False
        self._changed = asyncio.Condition()
        self._expiry: asyncio.TimerHandle | None = None

    def held(self) -> bool:
        """Say whether we hold it now; ask immediately before acting on it."""
        return self._election.held(boottime())

    def held_until(self) -> float:
        """Give the time, by `boottime`, until which we hold it without another renewal; 0: not held."""
        return self._election.held_until() or 0.0

    def give_back(self) -> None:
        """Have it given back at the end of `run`, also without `release`: nothing is done under it any more."""
        self._give_back = True

    def ours_until_taken(self) -> bool:
        """Say whether we had it, perhaps no longer, and nobody else was seen to have it since (rule E1)."""
        return self._had and not self._election.taken()

    async def wait_held(self) -> None:
        """Return when we hold it."""
        async with self._changed:
            await self._changed.wait_for(self.held)

    async def run(self) -> None:
        """Acquire and renew until cancelled, then give it back (rule E14). API errors are waited out."""
        try:
            while True:
                started = boottime()
                await self._turn()
                await self._tell()
                spent = boottime() - started
                await asyncio.sleep(max(0.05, self._renew - spent))
        finally:
            was_held = self._leave()
            if was_held and self._give_back:
                await self._release()

    async def _turn(self) -> None:
        try:
            async with asyncio.timeout(self._renew):
                await self._step()
        except (KubeError, TimeoutError) as error:
            log.warning("Lease %s/%s: %s", self.namespace, self.name, error or "no answer in time")

    async def _step(self) -> None:
        try:
            record = LeaseRecord.from_manifest(await self._api.get_lease(self.namespace, self.name))
        except NotFound:
            record = None
        move = self._election.observe(record, boottime())
        self._had = self._had and not self._election.taken()
        if move is Move.WAIT:
            return
        sent_at = boottime()
        try:
            answer = await self._write(move, record)
        except (Conflict, AlreadyExists):
            return
        self._election.written(LeaseRecord.from_manifest(answer), sent_at)
        if self._renewed is not None:
            self._renewed()

    async def _write(self, move: Move, record: LeaseRecord | None) -> dict[str, Any]:
        manifest = self._manifest(move, record, self._election.identity)
        if record is None:
            return await self._api.create_lease(self.namespace, manifest)
        return await self._api.replace_lease(self.namespace, self.name, manifest)

    def _manifest(self, move: Move, record: LeaseRecord | None, holder: str) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        taken = move is not Move.RENEW
        meta: dict[str, Any] = {"name": self.name, "namespace": self.namespace}
        if record is not None:
            meta["resourceVersion"] = record.resource_version
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": meta,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": self._whole,
                "acquireTime": now if taken or record is None else record.acquired or now,
                "renewTime": now,
                "leaseTransitions": (record.transitions if record else 0) + (1 if move is Move.TAKE else 0),
            },
        }

    async def _tell(self) -> None:
        """Call the callbacks on a change, wake who waits, and set the alarm for the end of what is held."""
        held = self.held()
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        until = self._election.held_until()
        if held and until is not None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(max(0.0, until - boottime()), self._expired)
        if held and not self._told:
            self._told = self._had = True
            metrics.LEASE_HELD.labels(self.name).set(1)
            log.info("Lease %s/%s is ours", self.namespace, self.name)
            if self._gained is not None:
                self._gained()
        elif not held:
            self._expired()
        async with self._changed:
            self._changed.notify_all()

    def _expired(self) -> None:
        if self._told and not self.held():
            self._told = False
            metrics.LEASE_HELD.labels(self.name).set(0)
            log.warning("Lease %s/%s is not ours any more", self.namespace, self.name)
            if self._lost is not None:
                self._lost()

    def _leave(self) -> bool:
        """Hold it no more, and tell whether we did."""
        was_held = self.held()
        self._election.lost()
        if self._expiry is not None:
            self._expiry.cancel()
        self._expired()
        return was_held

    async def _release(self) -> None:
        """Let the next one in at once; whoever acts under this Lease has stopped by then (rule E14)."""
        record, error = self._election.ours(), ""
        try:
            async with asyncio.timeout(_RELEASE):
                while record is not None:
                    manifest = self._manifest(Move.RENEW, record, "")
                    try:
                        await self._api.replace_lease(self.namespace, self.name, manifest)
                    except Conflict:  # by a renewal of ours whose answer did not come, or it is another's
                        record = await self._read_ours()
                        continue
                    except NotFound:
                        pass
                    except KubeError as failed:
                        error = str(failed)
                        await asyncio.sleep(_AGAIN)
                        continue
                    return
        except TimeoutError:
            log.warning(
                "Lease %s/%s was not released: %s", self.namespace, self.name, error or "no answer in time"
            )

    async def _read_ours(self) -> LeaseRecord | None:
        while True:
            try:
                manifest = await self._api.get_lease(self.namespace, self.name)
            except NotFound:
                return None
            except KubeError:
                await asyncio.sleep(_AGAIN)
            else:
                record = LeaseRecord.from_manifest(manifest)
                return record if record.holder == self._election.identity else None

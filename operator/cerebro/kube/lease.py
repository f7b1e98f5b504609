"""Leases: asks the API server, keeps time, and tells the process what its
election decided (E1, E12, E14).

Held is judged on the clock of our own node, which nobody sets. What to do
about a Lease is decided in `election.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    KubeError,
    NotFound,
)
from cerebro.kube.election import Election, LeaseRecord, Move
from cerebro.runtime import metrics
from cerebro.runtime.clock import boottime
from cerebro.runtime.times import BootTime

log = logging.getLogger(__name__)

_RELEASE = 5.0
"""Seconds in which a Lease is to be given back (rule E14)."""
_RETRY = 0.2
"""Seconds until a Lease that could not be given back is tried once more."""


class Lease:
    """One Lease: `run()` acquires, renews and, with `release`, gives it back
    at its end.
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
        """`duration` and `renew` are in seconds; a duration is cut to whole
        ones, as the API has it.

        `identity` must differ between processes that may run at once: a
        process that finds its own name in the Lease goes on with it at once.
        `gained` and `lost` are called, in turns, at once when that happens,
        `renewed` after each write that the server took. Without `release` the
        next process of that identity goes on with the Lease.
        """

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

        self._announced = False
        """Whether `gained` was called last, and not `lost`."""
        self._had = False
        """Whether we held it once, and nobody else was seen to hold it since.
        """
        self._changed = asyncio.Condition()
        self._expiry: asyncio.TimerHandle | None = None
        """Calls `lost` when the Lease runs out, however long an answer takes.
        """

    # --- what others ask

    def held(self) -> bool:
        """Return whether we hold the Lease now; ask immediately before acting
        on it.
        """
        return self._election.held(boottime())

    def held_until(self) -> BootTime:
        """Return the time until which we hold the Lease without another
        renewal; 0 if we do not hold it.
        """
        return self._election.held_until() or BootTime(0.0)

    def ours_until_taken(self) -> bool:
        """Return whether we held the Lease, perhaps no longer, and nobody else
        was seen to hold it since (E1).
        """
        return self._had and not self._election.taken()

    async def wait_held(self) -> None:
        """Return when we hold the Lease."""
        async with self._changed:
            await self._changed.wait_for(self.held)

    def give_back(self) -> None:
        """Let `run` give the Lease back at its end, also without `release`:
        nothing is done under it any more.
        """
        self._give_back = True

    # --- acquiring and renewing

    async def run(self) -> None:
        """Acquire and renew until cancelled, then give it back (rule E14). API
        errors are waited out.
        """
        metrics.LEASE_HELD.labels(self.name).set(0)

        try:
            while True:
                started = boottime()
                await self._turn()
                await self._announce()
                spent = boottime() - started
                await asyncio.sleep(max(0.05, self._renew - spent))
        finally:
            was_held = self._leave()
            # A Hub's Lease may go for ever, with the Hub.
            metrics.LEASE_HELD.remove_by_labels({"name": self.name})

            if was_held and self._give_back:
                await self._release()

    async def _turn(self) -> None:
        """Take one step; an error of the API server is logged, for the next
        step comes soon.
        """
        try:
            async with asyncio.timeout(self._renew):
                await self._step()
        except (KubeError, TimeoutError) as error:
            log.warning(
                "Lease %s/%s: %s",
                self.namespace,
                self.name,
                error or "no answer in time",
            )

    async def _step(self) -> None:
        """Read the Lease, and write it if the election says so."""
        record = await self._read()
        move = self._election.observe(record, boottime())
        self._had = self._had and not self._election.taken()

        if move is Move.WAIT:
            return

        # The Lease counts from before the request: the answer may be late.
        sent_at = boottime()

        try:
            answer = await self._write(move, record)
        except (Conflict, AlreadyExists):
            return  # another was faster; the next step sees who

        self._election.written(LeaseRecord.from_manifest(answer), sent_at)

        if self._renewed is not None:
            self._renewed()

    async def _read(self) -> LeaseRecord | None:
        """Return the Lease as the server has it, None if it does not exist.
        Raises KubeError.
        """
        try:
            manifest = await self._api.get_lease(self.namespace, self.name)
        except NotFound:
            return None

        return LeaseRecord.from_manifest(manifest)

    async def _write(
        self, move: Move, record: LeaseRecord | None
    ) -> dict[str, Any]:
        manifest = self._manifest(move, record, self._election.identity)
        if record is None:
            return await self._api.create_lease(self.namespace, manifest)

        return await self._api.replace_lease(
            self.namespace, self.name, manifest
        )

    def _manifest(
        self, move: Move, record: LeaseRecord | None, holder: str
    ) -> dict[str, Any]:
        """Return the Lease as it is to be written, in the version that was
        read.
        """

        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        metadata: dict[str, Any] = {
            "name": self.name,
            "namespace": self.namespace,
        }

        acquired = now
        transitions = 0

        if record is not None:
            metadata["resourceVersion"] = record.resource_version
            transitions = record.transitions

            if move is Move.RENEW:
                acquired = record.acquired or now

        if move is Move.TAKE:
            transitions += 1

        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": self._whole,
                "acquireTime": acquired,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }

    # --- what changed

    async def _announce(self) -> None:
        """Call the callbacks on a change, wake who waits, and set the alarm
        for the end of what is held.
        """

        held = self.held()

        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

        until = self._election.held_until()
        if held and until is not None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_later(
                max(0.0, until - boottime()), self._expired
            )

        if held and not self._announced:
            self._announced = self._had = True
            metrics.LEASE_HELD.labels(self.name).set(1)
            log.info("Lease %s/%s is ours", self.namespace, self.name)

            if self._gained is not None:
                self._gained()
        elif not held:
            self._expired()

        async with self._changed:
            self._changed.notify_all()

    def _expired(self) -> None:
        """Call `lost`, once, if the Lease is not held any more."""
        if not self._announced or self.held():
            return

        self._announced = False
        metrics.LEASE_HELD.labels(self.name).set(0)
        log.warning(
            "Lease %s/%s is not ours any more", self.namespace, self.name
        )

        if self._lost is not None:
            self._lost()

    # --- giving back

    def _leave(self) -> bool:
        """Hold the Lease no more; return whether we held it."""
        was_held = self.held()
        self._election.lost()

        if self._expiry is not None:
            self._expiry.cancel()

        self._expired()

        return was_held

    async def _release(self) -> None:
        """Let the next holder in at once; whoever acts under this Lease has
        stopped by then (rule E14).
        """
        record = self._election.ours()
        error = ""
        try:
            async with asyncio.timeout(_RELEASE):
                while record is not None:
                    manifest = self._manifest(Move.RENEW, record, "")
                    try:
                        await self._api.replace_lease(
                            self.namespace, self.name, manifest
                        )
                    except Conflict:
                        # By a renewal of ours whose answer did not come, or
                        # another has it.
                        record = await self._read_ours()
                    except NotFound:
                        return
                    except KubeError as failed:
                        error = str(failed)
                        await asyncio.sleep(_RETRY)
                    else:
                        return
        except TimeoutError:
            log.warning(
                "Lease %s/%s was not released: %s",
                self.namespace,
                self.name,
                error or "no answer in time",
            )

    async def _read_ours(self) -> LeaseRecord | None:
        """Return the Lease if it is still ours, else None. Errors of the API
        server are waited out.
        """
        while True:
            try:
                record = await self._read()
            except KubeError:
                await asyncio.sleep(_RETRY)
                continue

            if record is None or record.holder != self._election.identity:
                return None

            return record

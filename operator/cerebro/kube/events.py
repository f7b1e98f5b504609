"""Kubernetes Events about objects of ours.

They are written deliberately (`event_reasons` lists them), not repeated at
once, few (`event_limits`), and never in the way of the work: they wait in a
short queue, one request at a time, and what cannot be posted is counted and
forgotten.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.kube.event_limits import Limits
from cerebro.kube.event_reasons import EventReason
from cerebro.resources import GROUP_VERSION, Resource
from cerebro.runtime.clock import monotonic
from cerebro.runtime.metrics import KUBERNETES_EVENTS
from cerebro.runtime.times import Monotonic

_NOTE_SIZE = 1000
"""Bytes of the note; the API server takes at most 1024."""
_REMEMBERED = 2000
"""Events whose last post is remembered."""
_WAITING = 100
"""Events that wait for the API server at most."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Told:
    """When an Event was posted, and how often it happened since."""

    at: Monotonic
    since: str = ""
    """When it happened first after that, as the API writes it."""
    count: int = 0


class Recorder:
    """Posts the Events of one process; the same Event about the same object
    once in `quiet` seconds.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        component: str,
        instance: str,
        quiet: float = 600.0,
    ) -> None:
        """`component` and `instance` say in each Event which process wrote it."""
        self._api = api
        self._component = component
        self._instance = instance
        self._quiet = quiet
        self._limits = Limits()
        self._told: OrderedDict[tuple[str, str, str], _Told] = OrderedDict()
        """By UID, reason and note; the oldest first."""

        self._waiting: deque[dict[str, Any]] = deque()
        self._task: asyncio.Task[None] | None = None
        """What posts; it ends when nothing waits."""

    def post(
        self, regarding: Resource, told: EventReason, **values: object
    ) -> None:
        """Post an Event about an object, in the background; `values` are those
        of its sentence.

        What happens again within `quiet` seconds is counted, and the next
        Event about it says how often it happened since the last one.
        """

        note = told.sentence.format(**values)
        key = (regarding.metadata.uid, told.reason, note)
        now = monotonic()
        before = self._told.get(key)

        if before is not None and now - before.at < self._quiet:
            before.since = before.since or _wall_clock()
            before.count += 1
            KUBERNETES_EVENTS.labels("repeated").inc()
            return

        if len(self._waiting) >= _WAITING:
            KUBERNETES_EVENTS.labels("queue_full").inc()
            return

        if not self._limits.take(key[0], regarding.kind, told.type, now):
            KUBERNETES_EVENTS.labels("limited").inc()
            return

        self._remember(key, now)
        manifest = self._manifest(regarding, told, note)

        if before is not None and before.count:
            manifest |= _series(before, manifest["eventTime"])

        self._waiting.append(manifest)

        if self._task is None or self._task.done():
            # Whoever posts first gives the others' Events no context of its
            # own.
            self._task = asyncio.create_task(
                self._post_waiting(),
                name="events",
                context=contextvars.Context(),
            )

    def _remember(self, key: tuple[str, str, str], now: Monotonic) -> None:
        self._told[key] = _Told(now)
        self._told.move_to_end(key)

        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    async def _post_waiting(self) -> None:
        """Post what waits, one after the other."""
        while self._waiting:
            manifest = self._waiting.popleft()
            regarding = manifest["regarding"]

            try:
                await self._api.create_event(regarding["namespace"], manifest)
            except KubeError as error:
                KUBERNETES_EVENTS.labels("failed").inc()
                log.warning(
                    "Event %s about %s %s/%s: %s",
                    manifest["reason"],
                    regarding["kind"],
                    regarding["namespace"],
                    regarding["name"],
                    error,
                )
            else:
                KUBERNETES_EVENTS.labels("posted").inc()

    def _manifest(
        self, regarding: Resource, told: EventReason, note: str
    ) -> dict[str, Any]:
        """Return an Event of events.k8s.io/v1."""
        metadata = regarding.metadata
        # A note is cut in bytes, but never within a character.
        cut = note.encode("utf-8", "replace")[:_NOTE_SIZE].decode(
            "utf-8", "ignore"
        )

        # No part of a name may end in one of these characters.
        stem = metadata.name[:200].rstrip(".-")

        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{stem}.{secrets.token_hex(8)}",
                "namespace": metadata.namespace,
            },
            "eventTime": _wall_clock(),
            "reportingController": f"relay.cerebro.dev/{self._component}",
            "reportingInstance": self._instance[:128],
            "action": told.action,
            "reason": told.reason,
            "type": told.type,
            "note": cut,
            "regarding": {
                "apiVersion": GROUP_VERSION,
                "kind": regarding.kind,
                "namespace": metadata.namespace,
                "name": metadata.name,
                "uid": metadata.uid,
            },
        }


def _series(before: _Told, now: str) -> dict[str, Any]:
    """Return the fields of an Event that stands for several: those that were
    not posted, and this one.
    """
    return {
        "eventTime": before.since,
        "series": {"count": before.count + 1, "lastObservedTime": now},
    }


def _wall_clock() -> str:
    """Return the time as an Event has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

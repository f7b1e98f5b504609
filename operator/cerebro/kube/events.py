"""Kubernetes Events about objects of ours.

They are written deliberately, not repeated at once, and never in the way of
the work: an Event that cannot be posted is logged and forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Literal

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.resources import GROUP_VERSION, Resource
from cerebro.runtime.clock import monotonic
from cerebro.runtime.times import Monotonic

_NOTE_SIZE = 1000
"""Bytes of the note; the API server takes at most 1024."""
_REMEMBERED = 1000
"""Events whose last post is remembered."""
_PENDING = 100
"""Events that may be on their way at once; more are dropped."""

log = logging.getLogger(__name__)


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
        self._posted: OrderedDict[tuple[str, str, str], Monotonic] = (
            OrderedDict()
        )

        """When an Event was posted last, by UID, reason and message; the
        oldest first.
        """

        self._tasks: set[asyncio.Task[None]] = set()

    def post(
        self,
        regarding: Resource,
        type: Literal["Normal", "Warning"],  # noqa: A002 the field's own name
        reason: str,
        message: str,
        *,
        action: str,
    ) -> None:
        """Post an Event about an object, in the background.

        `reason` and `action` are words in CamelCase as the API asks for them,
        `message` is for people.
        """

        key = (regarding.metadata.uid, reason, message)
        now = monotonic()
        posted_at = self._posted.get(key)
        posted_lately = posted_at is not None and now - posted_at < self._quiet
        if posted_lately or len(self._tasks) >= _PENDING:
            return

        self._posted[key] = now
        self._posted.move_to_end(key)

        if len(self._posted) > _REMEMBERED:
            self._posted.popitem(last=False)

        task = asyncio.create_task(
            self._post(regarding, type, reason, message, action), name="event"
        )

        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(
        self,
        regarding: Resource,
        type_: str,
        reason: str,
        message: str,
        action: str,
    ) -> None:
        namespace, name = regarding.metadata.namespace, regarding.metadata.name
        manifest = self._manifest(regarding, type_, reason, message, action)
        try:
            await self._api.create_event(namespace, manifest)
        except KubeError as error:
            log.warning(
                "Event %s about %s %s/%s: %s",
                reason,
                regarding.kind,
                namespace,
                name,
                error,
            )

    def _manifest(
        self,
        regarding: Resource,
        type_: str,
        reason: str,
        message: str,
        action: str,
    ) -> dict[str, Any]:
        """Return an Event of events.k8s.io/v1."""
        metadata = regarding.metadata
        # A note is cut in bytes, but never within a character.
        note = message.encode("utf-8", "replace")[:_NOTE_SIZE].decode(
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
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": f"relay.cerebro.dev/{self._component}",
            "reportingInstance": self._instance[:128],
            "action": action,
            "reason": reason,
            "type": type_,
            "note": note,
            "regarding": {
                "apiVersion": GROUP_VERSION,
                "kind": regarding.kind,
                "namespace": metadata.namespace,
                "name": metadata.name,
                "uid": metadata.uid,
            },
        }

"""Kubernetes Events about objects of ours: written deliberately, never repeated at once, never in the way of
the work.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Literal

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.resources import GROUP_VERSION, Resource

_NOTE_SIZE = 1000
"""The API server takes at most 1024 bytes of note."""
_REMEMBERED = 1000
_PENDING = 100

log = logging.getLogger(__name__)


class Recorder:
    """Posts Events of one process; the same one about the same object once in `quiet` seconds."""

    def __init__(self, api: KubeApi, *, component: str, instance: str, quiet: float = 600.0) -> None:
        self._api = api
        self._component = component
        self._instance = instance
        self._quiet = quiet
        self._posted: OrderedDict[tuple[str, str, str], float] = OrderedDict()
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
        """Post in the background; one that cannot be posted is logged and forgotten."""
        key = (regarding.metadata.uid, reason, message)
        now = time.monotonic()
        if now - self._posted.get(key, -self._quiet) < self._quiet or len(self._tasks) >= _PENDING:
            return
        self._posted[key] = now
        self._posted.move_to_end(key)
        if len(self._posted) > _REMEMBERED:
            self._posted.popitem(last=False)
        task = asyncio.create_task(self._post(regarding, type, reason, message, action), name="event")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, regarding: Resource, type_: str, reason: str, message: str, action: str) -> None:
        meta = regarding.metadata
        note = message.encode("utf-8", "replace")[:_NOTE_SIZE].decode("utf-8", "ignore")
        name = f"{meta.name[:200].rstrip('.-')}.{secrets.token_hex(8)}"  # no part of a name may end in these
        manifest = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": meta.namespace},
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
                "namespace": meta.namespace,
                "name": meta.name,
                "uid": meta.uid,
            },
        }
        try:
            await self._api.create_event(meta.namespace, manifest)
        except KubeError as error:
            log.warning(
                "Event %s about %s %s/%s: %s", reason, regarding.kind, meta.namespace, meta.name, error
            )

"""kopf's lists and watches, with our own hand in place of what kopf does about
each event.

kopf begins a task and a queue for every object that it hears of, remembers it,
wraps its body and looks for causes and handlers, before it calls a handler for
events. That costs more than everything else about an event, and kilobytes for
each object of a list. `kopf.spawn_tasks` takes another command in place of its
own, of which this module makes use: it reads kopf's streams itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import kopf
from kopf._cogs.clients import watching
from kopf._cogs.structs import references

from cerebro.runtime.pace import Pace

Take = Callable[[str, Any], Awaitable[None] | None]
"""Takes the plural name of a kind, and one of its events: `type`, which is
None for an object out of a list, and `object`. Returns None, or what has to be
awaited until the event is taken.
"""

Insights = references.Insights
"""What is to be watched, as kopf's observers learn it."""

_LOST = "an event of %s %s could not be taken"

log = logging.getLogger(__name__)


async def read_streams(
    settings: kopf.OperatorSettings, insights: Insights, take: Take
) -> None:
    """List and watch without end, as `_command` of `kopf.spawn_tasks`, which
    is to have the same settings and insights.

    Raises what ends a stream of kopf. An error of `take` is logged, and the
    event lost: the comparison with a listing heals that (rule E7).
    """
    await insights.ready_namespaces.wait()
    await insights.ready_resources.wait()

    try:
        async with asyncio.TaskGroup() as group:
            for resource in insights.watched_resources:
                for namespace in insights.namespaces:
                    group.create_task(
                        _read(settings, resource, namespace, take),
                        name=f"stream of {resource} in {namespace}",
                    )
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _read(
    settings: kopf.OperatorSettings,
    resource: references.Resource,
    namespace: references.Namespace,
    take: Take,
) -> None:
    """Take the events of one kind in one namespace, and let others run."""
    events = _InOrder(resource.plural, take)
    pace = Pace()

    async for event in watching.infinite_watch(
        settings=settings, resource=resource, namespace=namespace
    ):
        if isinstance(event, watching.Bookmark) or event["type"] == "BOOKMARK":
            continue

        events.put(event)
        await pace.breathe()


class _InOrder:
    """Takes events of one kind: those of one object one after the other.

    Nearly all are taken at once. While one waits, further ones of its object
    wait behind it, and those of other objects go ahead.
    """

    def __init__(self, plural: str, take: Take) -> None:
        self._plural = plural
        self._take = take
        self._waiting: dict[str, asyncio.Task[None]] = {}
        """By UID, the last event that waits."""

    def put(self, event: Any) -> None:
        """Take one event, now or as soon as those before it are taken."""
        uid = event["object"]["metadata"]["uid"]
        before = self._waiting.get(uid)

        if before is None:
            rest = self._taken(event)
            if rest is None:
                return
        else:
            rest = self._after(before, event)

        task = asyncio.ensure_future(self._awaited(rest, event))
        self._waiting[uid] = task
        task.add_done_callback(lambda done: self._forget(uid, done))

    def _taken(self, event: Any) -> Awaitable[None] | None:
        try:
            return self._take(self._plural, event)
        except Exception:
            log.exception(_LOST, self._plural, _name(event))
            return None

    async def _after(self, before: asyncio.Task[None], event: Any) -> None:
        await asyncio.wait({before})

        rest = self._taken(event)
        if rest is not None:
            await rest

    async def _awaited(self, rest: Awaitable[None], event: Any) -> None:
        try:
            await rest
        except Exception:
            log.exception(_LOST, self._plural, _name(event))

    def _forget(self, uid: str, done: asyncio.Task[None]) -> None:
        if self._waiting.get(uid) is done:
            del self._waiting[uid]


def _name(event: Any) -> str:
    """Return namespace and name of the object of an event."""
    metadata = event["object"].get("metadata", {})

    return f"{metadata.get('namespace')}/{metadata.get('name')}"

"""kopf's lists and watches, with our own hand in place of what kopf does about
each event.

kopf remembers every object, wraps its body and looks for causes and handlers,
before it calls a handler for events: twice the cost of everything else about
an event, and some kilobytes for each object. `kopf.spawn_tasks` takes another
command in place of its own, of which this module makes use: the same streams,
begun by the same orchestrator, that hand each event over as it came.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import kopf
from kopf._cogs.aiokits import aiotoggles
from kopf._cogs.structs import references
from kopf._core.engines import peering
from kopf._core.reactor import orchestration

Deliver = Callable[[str, Any], Awaitable[None]]
"""Takes the plural name of a kind, and one of its events: `type`, which is
None for an object out of a list, and `object`.
"""

Insights = references.Insights
"""What is to be watched, as kopf's observers learn it."""

log = logging.getLogger(__name__)


def streams(
    settings: kopf.OperatorSettings, insights: Insights, deliver: Deliver
) -> Coroutine[None, None, None]:
    """Return what lists and watches without end, as `_command` of
    `kopf.spawn_tasks`, which is to have the same settings and insights.

    Events of one object are delivered one after the other, those of different
    objects side by side. An error of `deliver` is logged, and the event lost:
    the comparison with a listing heals that (rule E7).
    """
    return orchestration.orchestrator(
        settings=settings,
        insights=insights,
        identity=peering.Identity("cerebro"),
        operator_paused=aiotoggles.ToggleSet(any),
        processor=partial(_hand_over, deliver=deliver),
    )


async def _hand_over(
    *,
    resource: references.Resource,
    raw_event: Any,
    deliver: Deliver,
    **_: Any,
) -> str | None:
    """Hand one event over; None tells kopf that we changed nothing."""
    try:
        await deliver(resource.plural, raw_event)
    except Exception:
        metadata = raw_event["object"].get("metadata", {})
        log.exception(
            "an event of %s %s/%s could not be taken",
            resource.plural,
            metadata.get("namespace"),
            metadata.get("name"),
        )

    return None

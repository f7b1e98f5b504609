"""When an object gets our finalizer, and when it is let go (rule E6, and E12 for agents that are away). Pure.

Every Peer has one, so that its entry leaves the interface first; Devices and Hubs have one while their
`deletionPolicy` is Cleanup. The agent that owns the object reports that it is done. Where it cannot, an
annotation, a Hub that is gone, or a time limit opens the way: a deletion never hangs for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cerebro.resources import Device, Hub, Peer
from cerebro.resources.naming import ANNOTATION_FORCE_FINALIZE, FINALIZER_CLEANUP, FINALIZER_INTERFACE

REMOVED = "Removed"
"""Reason of Applied=False on a Peer whose entry is off the interface."""
CLEANED_UP = "CleanedUp"
"""Reason of Ready=False on a Device or Hub that nothing is left of."""

Finalized = Peer | Device | Hub


class Why(Enum):
    """Why an object is let go."""

    NOT_WANTED = "its policy asks for no clean-up"
    REPORTED = "its agent reported that it is done"
    FORCED = "the annotation forces it"
    HUB_GONE = "its Hub does not exist"
    TIME_LIMIT = "its agent did not report in time"


@dataclass(frozen=True)
class Decision:
    """What to do about one object's finalizer now."""

    finalizers: tuple[str, ...] | None = None
    """All finalizers that it is to have; None: those that it has."""
    why: Why | None = None
    """Set where it loses ours."""
    due: datetime | None = None
    """When the time limit is reached."""


def finalizer_of(item: Finalized) -> str:
    """Name the finalizer that is ours on such an object."""
    return FINALIZER_INTERFACE if isinstance(item, Peer) else FINALIZER_CLEANUP


def decide(item: Finalized, *, hub_gone: bool, now: datetime, limit: timedelta) -> Decision:
    """Decide about one object; `hub_gone` is said only by a store that is complete (E7).

    `now` is the API server's time, as the time of deletion is. Other finalizers stay in their order.
    """
    meta = item.metadata
    ours = finalizer_of(item)
    has = ours in meta.finalizers
    wanted = isinstance(item, Peer) or item.spec.deletion_policy == "Cleanup"
    rest = tuple(name for name in meta.finalizers if name != ours)
    if meta.deletion_timestamp is None:
        if wanted and not has:
            return Decision(finalizers=(*meta.finalizers, ours))
        if has and not wanted:
            return Decision(finalizers=rest, why=Why.NOT_WANTED)
        return Decision()
    if not has:
        return Decision()
    due = meta.deletion_timestamp + limit
    why: Why | None = None
    if not wanted:
        why = Why.NOT_WANTED
    elif _reported(item):
        why = Why.REPORTED
    elif meta.annotations.get(ANNOTATION_FORCE_FINALIZE) == "true":
        why = Why.FORCED
    elif hub_gone:
        why = Why.HUB_GONE
    elif now >= due:
        why = Why.TIME_LIMIT
    return Decision(finalizers=rest, why=why) if why is not None else Decision(due=due)


def hub_name(item: Finalized) -> str | None:
    """Name the Hub without which nobody can clean up; None: it needs none."""
    if isinstance(item, Hub) or item.spec.hub_ref is None:
        return None
    return item.spec.hub_ref.name


def _reported(item: Finalized) -> bool:
    """Tell whether the agent has said that it is done, of the object as it is now."""
    name, reason = ("Applied", REMOVED) if isinstance(item, Peer) else ("Ready", CLEANED_UP)
    said = item.status.condition(name)
    return (
        said is not None
        and (said.status, said.reason) == ("False", reason)
        and said.observed_generation == item.metadata.generation
    )

"""When an object gets our finalizer, and when it is let go (rule E6, and E12 for agents that are away). Pure.

Every Peer has one, so that its entry leaves the interface first; Devices and Hubs have one while their
`deletionPolicy` is Cleanup. The agent that owns the object reports that it is done. Where it cannot, an
annotation, a Hub that is gone, or a time limit opens the way: a deletion never hangs for ever.

These ways are open also to an object that no agent touches: one that our models cannot read (B9), one that
goes with its CRD or namespace (E13). To let go removes nothing anywhere; the agent keeps what was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cerebro.kube.cache.references import hub_of
from cerebro.kube.objects import StoredObject
from cerebro.resources import Device, Hub, Peer, Resource
from cerebro.resources.base import ObjectMeta
from cerebro.resources.naming import ANNOTATION_FORCE_FINALIZE, FINALIZER_CLEANUP, FINALIZER_INTERFACE
from cerebro.resources.reasons import CLEANED_UP, REMOVED

FINALIZERS = {"Peer": FINALIZER_INTERFACE, "Device": FINALIZER_CLEANUP, "Hub": FINALIZER_CLEANUP}
"""Ours, by kind."""


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


@dataclass(frozen=True)
class Subject:
    """What is to be known of an object for the decision about its finalizer."""

    resource: Resource
    """Kind and metadata as the API server has them, also a deletion that is not believed (E13)."""
    hub: str | None
    """Name of the Hub without which nobody can clean up."""
    wanted: bool | None
    """Whether it is to have a finalizer; None: it cannot be read, so nobody knows (B9)."""
    reported: bool = False
    """Whether the agent has said that it is done, of the object as it is now."""


def subject(stored: StoredObject) -> Subject:
    """Take what matters out of a Peer, Device or Hub."""
    model, raw = stored.model, stored.raw
    if raw is not None:
        meta = ObjectMeta.model_validate(raw["metadata"])
    else:
        assert model is not None
        meta = model.metadata
    resource = Resource(kind=stored.kind.kind, metadata=meta)
    if not isinstance(model, Peer | Device | Hub):
        return Subject(resource, hub_of(stored), wanted=None)
    wanted = isinstance(model, Peer) or model.spec.deletion_policy == "Cleanup"
    return Subject(resource, hub_of(stored), wanted, _reported(model))


def decide(item: Subject, *, hub_gone: bool, now: datetime, limit: timedelta) -> Decision:
    """Decide about one object; `hub_gone` is said only by a store that is complete (E7).

    `now` is the API server's time, as the time of deletion is. Other finalizers stay in their order.
    """
    meta = item.resource.metadata
    ours = FINALIZERS[item.resource.kind]
    has = ours in meta.finalizers
    rest = tuple(name for name in meta.finalizers if name != ours)
    if meta.deletion_timestamp is None:
        if item.wanted and not has:
            return Decision(finalizers=(*meta.finalizers, ours))
        if has and item.wanted is False:
            return Decision(finalizers=rest, why=Why.NOT_WANTED)
        return Decision()
    if not has:
        return Decision()
    due = meta.deletion_timestamp + limit
    why: Why | None = None
    if item.wanted is False:
        why = Why.NOT_WANTED
    elif item.reported:
        why = Why.REPORTED
    elif meta.annotations.get(ANNOTATION_FORCE_FINALIZE) == "true":
        why = Why.FORCED
    elif hub_gone:
        why = Why.HUB_GONE
    elif now >= due:
        why = Why.TIME_LIMIT
    return Decision(finalizers=rest, why=why) if why is not None else Decision(due=due)


def _reported(item: Peer | Device | Hub) -> bool:
    name, reason = ("Applied", REMOVED) if isinstance(item, Peer) else ("Ready", CLEANED_UP)
    said = item.status.condition(name)
    return (
        said is not None
        and (said.status, said.reason) == ("False", reason)
        and said.observed_generation == item.metadata.generation
    )

"""When an object gets our finalizer, and when it is released (rule E6; rule
E12 for agents that are away). Pure.

Every Peer has a finalizer, so that its entry leaves the interface before the
object goes. Devices and Hubs have one while their `deletionPolicy` is Cleanup.
The agent that owns the object reports when it is done. If the agent cannot, an
annotation, a Hub that is gone, or a time limit opens the way: no deletion
hangs for ever.

These ways are also open to an object that no agent touches: one that our
models cannot read (rule B9), and one that goes with its CRD or namespace (rule
E13). A release removes nothing anywhere: the agent keeps what was there.

This module decides about one object at a time; `controller` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from cerebro.kube.cache.references import hub_of
from cerebro.kube.objects import StoredObject
from cerebro.resources import Device, Hub, Peer, Resource
from cerebro.resources.base import ObjectMeta
from cerebro.resources.naming import (
    ANNOTATION_FORCE_FINALIZE,
    FINALIZER_CLEANUP,
    FINALIZER_INTERFACE,
)
from cerebro.resources.reasons import CLEANED_UP, REMOVED

FINALIZERS = {
    "Peer": FINALIZER_INTERFACE,
    "Device": FINALIZER_CLEANUP,
    "Hub": FINALIZER_CLEANUP,
}
"""Our finalizer, by kind."""


class Cause(Enum):
    """Why an object is released. The name is a label of a metric, the value
    goes to the log.
    """

    NOT_WANTED = "its policy asks for no clean-up"
    REPORTED = "its agent reported that it is done"
    FORCED = "the annotation forces it"
    HUB_GONE = "its Hub does not exist"
    TIME_LIMIT = "its agent did not report in time"


@dataclass(frozen=True)
class Decision:
    """What to do about one object's finalizer now."""

    finalizers: tuple[str, ...] | None = None
    """All finalizers that the object is to have; None if nothing is to be
    written.
    """

    cause: Cause | None = None
    """Why our finalizer goes; None if it does not."""

    due: datetime | None = None
    """When the time limit of an object that is being deleted is reached."""


@dataclass(frozen=True)
class Subject:
    """What the decision about an object's finalizer depends on."""

    resource: Resource
    """Kind and metadata as the API server has them, also a deletion that the
    store does not believe (rule E13).
    """

    hub: str | None
    """Name of the Hub without which nobody can clean up."""

    wanted: bool | None
    """Whether the object is to have a finalizer; None if it cannot be read
    (rule B9).
    """

    reported: bool = False
    """Whether the agent has reported that it is done, for the current
    generation of the object.
    """


def subject_of(stored: StoredObject) -> Subject:
    """Return what the decision about a Peer, Device or Hub depends on."""
    model = stored.model
    if stored.raw is not None:
        metadata = ObjectMeta.model_validate(stored.raw["metadata"])
    else:
        assert model is not None
        metadata = model.metadata

    resource = Resource(kind=stored.kind.kind, metadata=metadata)
    hub = hub_of(stored)

    if not isinstance(model, Peer | Device | Hub):
        return Subject(resource, hub, wanted=None)

    wanted = isinstance(model, Peer) or model.spec.deletion_policy == "Cleanup"

    return Subject(resource, hub, wanted, _is_reported(model))


def decide(
    subject: Subject, *, hub_gone: bool, now: datetime, limit: timedelta
) -> Decision:
    """Return what to do about the finalizer of one object.

    `hub_gone` may be true only if the store is complete (rule E7). `now` is
    the API server's time, as the time of the deletion is. The finalizers of
    others stay, in their order.
    """

    metadata = subject.resource.metadata
    if metadata.deletion_timestamp is None:
        return _decide_alive(subject)

    ours = FINALIZERS[subject.resource.kind]
    if ours not in metadata.finalizers:
        return Decision()

    due = metadata.deletion_timestamp + limit
    cause = _cause_of_release(subject, hub_gone=hub_gone, overdue=now >= due)
    if cause is None:
        return Decision(due=due)

    return Decision(finalizers=_without(metadata, ours), cause=cause)


def _decide_alive(subject: Subject) -> Decision:
    """Return the decision about an object that is not being deleted: it has
    our finalizer if it is to have it.
    """

    metadata = subject.resource.metadata
    ours = FINALIZERS[subject.resource.kind]
    has_ours = ours in metadata.finalizers

    if subject.wanted and not has_ours:
        return Decision(finalizers=(*metadata.finalizers, ours))

    if subject.wanted is False and has_ours:
        return Decision(
            finalizers=_without(metadata, ours), cause=Cause.NOT_WANTED
        )

    return Decision()


def _cause_of_release(
    subject: Subject, *, hub_gone: bool, overdue: bool
) -> Cause | None:
    """Return why an object that is being deleted is released now; None if it
    waits for its agent.
    """

    if subject.wanted is False:
        return Cause.NOT_WANTED

    if subject.reported:
        return Cause.REPORTED

    if (
        subject.resource.metadata.annotations.get(ANNOTATION_FORCE_FINALIZE)
        == "true"
    ):
        return Cause.FORCED

    if hub_gone:
        return Cause.HUB_GONE

    if overdue:
        return Cause.TIME_LIMIT

    return None


def _without(metadata: ObjectMeta, finalizer: str) -> tuple[str, ...]:
    return tuple(name for name in metadata.finalizers if name != finalizer)


def _is_reported(model: Peer | Device | Hub) -> bool:
    """Return whether the agent has reported that nothing of the object is left
    on interface or router.
    """
    if isinstance(model, Peer):
        condition = model.status.condition("Applied")
        done = REMOVED
    else:
        condition = model.status.condition("Ready")
        done = CLEANED_UP

    return (
        condition is not None
        and condition.status == "False"
        and condition.reason == done
        and condition.observed_generation == model.metadata.generation
    )

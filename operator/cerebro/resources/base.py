"""What all five kinds have in common: group, metadata, references, and which object is older. Pure.

Descriptions in the CRDs come from the docstrings of fields and of the models that a kind contains: a change of one
changes the CRDs.
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from cerebro.resources.conditions import Condition, Conditions, find_condition
from cerebro.resources.model import Model, Spec, Status
from cerebro.resources.values import ObjectName, Time

API_GROUP = "relay.cerebro.dev"
API_VERSION = "v1alpha1"
GROUP_VERSION = f"{API_GROUP}/{API_VERSION}"

NOT_OBSERVED = -1
"""`status.observedGeneration` of an object that nobody has looked at yet."""

NOT_KEPT = 0
"""Stands for that field where the CRD, of an older release, has none."""

_NEVER_CREATED = datetime.max.replace(tzinfo=UTC)
"""Stands for the creation of an object that the API server does not have."""


class OwnerReference(Model):
    """An object that this one belongs to and dies with."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class ObjectMeta(Model):
    """The part of Kubernetes' metadata that we read. A field that is absent reads as empty."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    owner_references: list[OwnerReference] = Field(default_factory=list)


class Reference(Spec):
    """Another object in the same namespace, by its name."""

    name: ObjectName
    """Its metadata.name."""


class ConditionedStatus(Status):
    """A status with conditions, as all five kinds have."""

    observed_generation: Annotated[
        int,
        Field(ge=NOT_OBSERVED, json_schema_extra={"default": NOT_OBSERVED}),
    ] = NOT_KEPT
    """The metadata.generation that Ready was judged of; -1: nobody has looked at the object yet."""

    conditions: Conditions = Field(default_factory=list)
    """What is true of this object now; Ready on every kind tells the truth about the data plane."""

    def is_judged_of(self, generation: int) -> bool:
        """Return whether Ready was judged of that metadata.generation, as far as the CRD keeps that.

        A CRD without the field, of an older release, drops it from each write: who compared with it would write
        without an end. Where the CRD has the field, each object that is read has it too, if only as -1.
        """
        return self.observed_generation in (NOT_KEPT, generation)

    def condition(self, type: str) -> Condition | None:  # noqa: A002 the field's own name
        """Return the condition of that type; None if nobody has set it."""
        return find_condition(self.conditions, type)


class ResyncedStatus(ConditionedStatus):
    """The status of a kind that the annotation `relay.cerebro.dev/resync-at` marks dirty."""

    last_resync_at: (
        Annotated[str, Field(json_schema_extra={"maxLength": 256})] | None
    ) = None
    """The value of the annotation relay.cerebro.dev/resync-at that was honoured last."""


class Resource(Model):
    """An object of one of the five kinds. An absent status reads as an empty one."""

    api_version: str = GROUP_VERSION
    kind: str
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    @property
    def name(self) -> str:
        """Its metadata.name."""
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """Its metadata.namespace."""
        return self.metadata.namespace


def age_key(resource: Resource) -> tuple[datetime, str, str]:
    """Return the sort key of age, the oldest first: creationTimestamp, namespace, name.

    An object that is not created yet is the youngest.
    """
    metadata = resource.metadata
    created = metadata.creation_timestamp or _NEVER_CREATED

    return (created, metadata.namespace, metadata.name)


def older(first: Resource, second: Resource) -> bool:
    """Return whether `first` is older than `second`. All conflicts between objects are settled by this order."""
    return age_key(first) < age_key(second)

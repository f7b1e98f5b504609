"""What all five kinds have in common: group, metadata, references, and which object is older. Pure."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from cerebro.resources.conditions import Condition, Conditions, find_condition
from cerebro.resources.model import Model, Spec, Status
from cerebro.resources.values import ObjectName, Time

API_GROUP = "relay.cerebro.dev"
API_VERSION = "v1alpha1"
GROUP_VERSION = f"{API_GROUP}/{API_VERSION}"

_NEVER_CREATED = datetime.max.replace(tzinfo=UTC)


class OwnerReference(Model):
    """An object that this one belongs to and dies with."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None


class ObjectMeta(Model):
    """The part of Kubernetes' metadata that we read."""

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

    conditions: Conditions = Field(default_factory=list)
    """What is true of this object now; Ready on every kind tells the truth about the data plane."""

    def condition(self, type: str) -> Condition | None:  # noqa: A002 the field's own name
        """Give the condition of that type, or None when nobody has set it."""
        return find_condition(self.conditions, type)


class ResyncedStatus(ConditionedStatus):
    """The status of a kind that the annotation `relay.cerebro.dev/resync-at` marks dirty."""

    last_resync_at: Annotated[str, Field(json_schema_extra={"maxLength": 256})] | None = None
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
    """Sort key of age: creationTimestamp, namespace, name. What is not created yet is youngest."""
    meta = resource.metadata
    return (meta.creation_timestamp or _NEVER_CREATED, meta.namespace, meta.name)


def older(one: Resource, other: Resource) -> bool:
    """Say whether `one` is older than `other`: the one order by which all conflicts are settled."""
    return age_key(one) < age_key(other)

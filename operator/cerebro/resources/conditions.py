"""Conditions of a status, after the conventions of the Kubernetes API: model, setting, finding. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cerebro.resources.model import Model
from cerebro.resources.values import Time

REASON_PATTERN = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"


class Condition(Model):
    """One thing that is true, false or unknown of an object, with a reason that one can act on."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"required": ["type", "status", "reason", "message", "lastTransitionTime"]},
    )

    type: Annotated[str, Field(min_length=1, max_length=128)]
    """Which condition, such as Ready."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=128, json_schema_extra={"pattern": REASON_PATTERN})]
    """The cause of the status in one CamelCase word."""
    message: Annotated[str, Field(json_schema_extra={"maxLength": 4096})] = ""
    """What is so, and what to do about it, in words."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this was said of."""
    last_transition_time: Time | None = None
    """When the status last changed from one value to another."""


Conditions = Annotated[
    list[Condition],
    Field(
        json_schema_extra={
            "maxItems": 16,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        }
    ),
]
"""The conditions of one object, at most one of each type."""


def find_condition(conditions: Iterable[Condition], type: str) -> Condition | None:  # noqa: A002 the field's own name
    """Give the condition of that type, or None when nobody has set it."""
    return next((condition for condition in conditions if condition.type == type), None)


def set_condition(conditions: Iterable[Condition], condition: Condition, now: datetime) -> list[Condition]:
    """Give the conditions with this one in the place of that of its type, else at the end.

    `lastTransitionTime` stays that of the old one where the status is the same, else it is `now` (aware).
    Nothing that was given is changed. A message over 4096 characters is cut: the API server would refuse it.
    """
    before = list(conditions)
    old = find_condition(before, condition.type)
    kept = old.last_transition_time if old is not None and old.status == condition.status else None
    new = condition.model_copy(
        update={"last_transition_time": kept or now, "message": condition.message[:4096]}
    )
    if old is None:
        return [*before, new]
    return [new if item.type == new.type else item for item in before]

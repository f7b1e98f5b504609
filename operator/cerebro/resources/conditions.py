"""Conditions of a status, after the conventions of the Kubernetes API: their model, and how one is set and found. Pure.

What conditions of our kinds mean, and which reasons they have, is no concern of this module.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cerebro.resources.model import Model
from cerebro.resources.values import Time

REASON_PATTERN = "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
"""What the API server accepts as the reason of a condition (metav1.Condition)."""

RECONCILING, STALLED = "Reconciling", "Stalled"
"""kstatus' conditions: work goes on, and only a person can mend it. An object has one of them or none, only while it is
True.
"""

ABNORMAL_TRUE = frozenset({RECONCILING, STALLED})

_MAX_MESSAGE = 4096
"""Characters that the schema allows in a message."""


class Condition(Model):
    """One thing that is true, false or unknown of an object, with a reason that one can act on."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={
            "required": [
                "type",
                "status",
                "reason",
                "message",
                "lastTransitionTime",
            ]
        },
    )

    type: Annotated[str, Field(min_length=1, max_length=128)]
    """Which condition, such as Ready."""

    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""

    reason: Annotated[
        str,
        Field(max_length=128, json_schema_extra={"pattern": REASON_PATTERN}),
    ]
    """The cause of the status in one CamelCase word."""

    message: Annotated[
        str, Field(json_schema_extra={"maxLength": _MAX_MESSAGE})
    ] = ""
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


def find_condition(
    conditions: Iterable[Condition],
    type: str,  # noqa: A002 - the field's own name
) -> Condition | None:
    """Return the condition of that type; None if nobody has set it."""
    return next(
        (condition for condition in conditions if condition.type == type), None
    )


def set_condition(
    conditions: Iterable[Condition], condition: Condition, now: datetime
) -> list[Condition]:
    """Return the conditions with this one in place of the one of its type, else at the end.

    `lastTransitionTime` is that of the condition before if the status is the same, else `now` (aware). A message over
    4096 characters is cut: the API server would refuse it. The arguments stay as they are.
    """

    before = list(conditions)
    old = find_condition(before, condition.type)
    same_status = old is not None and old.status == condition.status
    unchanged_since = (
        old.last_transition_time if old is not None and same_status else None
    )

    new = condition.model_copy(
        update={
            "last_transition_time": unchanged_since or now,
            "message": condition.message[:_MAX_MESSAGE],
        }
    )

    if old is None:
        return [*before, new]

    return [new if known.type == new.type else known for known in before]

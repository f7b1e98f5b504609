"""Bounds below which a setting is raised instead of refused (F5). Pure.

The old relay took any number. One that is too small to work with must not keep
who moves from it from starting; it is raised, with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True, slots=True)
class Floor:
    """Marks a whole number that is raised to `minimum`: in `Annotated`.

    A negative number, or what is no number, is refused as ever.
    """

    minimum: int

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self.raised, handler(source)
        )

    def raised(self, value: int | None) -> int | None:
        """Return the number that counts. Raises ValueError for a negative
        one.
        """
        if value is None:
            return None

        if value < 0:
            raise ValueError("must not be negative")

        return max(value, self.minimum)


def floors_of(kind: type[BaseModel]) -> dict[str, int]:
    """Return the bounds of the settings that are raised, by variable."""
    floors: dict[str, int] = {}
    for field in kind.model_fields.values():
        floor = _floor(field)
        if floor is not None and isinstance(field.validation_alias, str):
            floors[field.validation_alias] = floor.minimum

    return floors


def warnings(
    kind: type[BaseModel], environment: Mapping[str, str]
) -> list[str]:
    """Return a sentence for each variable whose value is raised."""
    sentences: list[str] = []
    for name, minimum in sorted(floors_of(kind).items()):
        text = environment.get(name, "").strip()
        if text.isdecimal() and int(text) < minimum:
            sentences.append(
                f"{name} is raised to {minimum}: a smaller value cannot be used"
            )

    return sentences


def _floor(field: FieldInfo) -> Floor | None:
    for mark in field.metadata:
        if isinstance(mark, Floor):
            return mark

    return None

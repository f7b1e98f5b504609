"""The base of every model: how its fields are named on the wire, and what happens to unknown ones. Pure.

It has no field itself.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

_NOT_KEPT: set[str] = set()


class Model(BaseModel):
    """A part of an object: snake_case here, camelCase on the wire. Fields that a newer CRD adds are ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=False,
    )

    def model_post_init(self, _context: Any) -> None:
        """Let all models share one set of the fields that were given.

        pydantic keeps such a set for each model, half of what an object takes
        in memory. Nobody asks which fields were given: absent ones have their
        defaults.
        """
        object.__setattr__(self, "__pydantic_fields_set__", _NOT_KEPT)

    def wire(self) -> dict[str, Any]:
        """Return what the API server takes: JSON values under their wire names, without fields that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Spec(Model):
    """What a person, Git or the bridge asks for; nobody but its author changes it, so it is frozen here."""

    model_config = ConfigDict(frozen=True)


class Status(Model):
    """What was found to be so, written by the one writer that owns it."""

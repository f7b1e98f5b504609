"""The base of every model: wire names in camelCase, unknown fields left alone. Holds no field itself."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """A part of an object: snake_case here, camelCase on the wire; what a newer CRD adds is ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=False,
    )

    def wire(self) -> dict[str, Any]:
        """Give what the API server takes: JSON values under wire names, without what is not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Spec(Model):
    """What a person, Git or the bridge asks for; nobody but its author changes it, so it is frozen here."""

    model_config = ConfigDict(frozen=True)


class Status(Model):
    """What was found to be so, written by the one writer that owns it."""

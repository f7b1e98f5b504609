"""What the bodies of answers are models of. Pure.

A model says what an answer has, in which order and under which names; the
OpenAPI page is made of them. The models of each family are beside what makes
them: in `orders`, `devices` and `endpoints`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


def is_none(value: object) -> bool:
    """Return whether a field is left out of an answer: for `exclude_if`."""
    return value is None


def _require_what_is_always_there(
    schema: dict[str, Any], model: type[BaseModel]
) -> None:
    """List in a JSON schema as required each field that no answer leaves out,
    also those that have a default.
    """
    always = [
        field.alias or name
        for name, field in model.model_fields.items()
        if field.exclude_if is None
    ]

    schema["required"] = always


class Answer(BaseModel):
    """The body of an answer: its fields in their order, under their names in
    camelCase.

    A field that is None is null in the JSON, unless it is declared with
    `exclude_if=is_none`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        json_schema_extra=_require_what_is_always_there,
    )

    @property
    def http_status(self) -> int:
        """The status that the answer is sent with."""
        return 200


class ErrorAnswer(Answer):
    """An error, as `ApiError.body` makes it; some have further fields.

    Clients of every age find the text: in `error` or in `message`.
    """

    model_config = ConfigDict(extra="allow")

    ok: Literal[False] = False
    code: str = Field(description="For programs: see docs/http.md.")
    error: str = Field(description="For people: the field or the reason.")
    message: str = Field(description="The same text as `error`.")

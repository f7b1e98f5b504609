"""What an endpoint is: where it is, who may call it, what handles it, and what
its page says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from cerebro.bridge.answers import Answer
from cerebro.bridge.http.auth import Access

Handler = Callable[[Request], Awaitable[Answer | Response]]
"""Returns the body of the answer as a model, or an answer that is not JSON.
Raises ApiError.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An endpoint."""

    method: Literal["GET", "POST"]

    path: str

    access: Access
    """What the gate requires before the handler sees a request."""

    handler: Handler

    summary: str
    """A line for the page."""

    answer: type[Answer] | UnionType | None
    """The model, or the union of models, that the handler returns; None if it
    answers with plain text.
    """

    answers_by_status: Mapping[int, type[Answer]] = field(default_factory=dict)
    """The model of each status whose body is neither `answer` nor an error."""

    example: Mapping[str, Any] | None = None
    """A body that it takes, None if it takes none."""

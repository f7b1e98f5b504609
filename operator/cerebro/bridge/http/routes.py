"""What an endpoint is: where it is, who may call it, what handles it, and what
its page says.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from cerebro.bridge.answers import Answer
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.refusals import Refusals

Handler = Callable[[Request], Awaitable[Answer | Response]]
"""Returns the body of the answer as a model, or an answer that is not JSON.
Raises ApiError.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An endpoint."""

    method: Literal["GET", "POST", "DELETE"]

    path: str
    """Its path, exactly; parts of it may be parameters: `/session/{sessionId}`,
    `/devices/{deviceId}/status`, or `{key:path}` where the value may have
    slashes.
    """

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

    fields: tuple[str, ...] = ()
    """Further fields of the body, besides those of the example."""

    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Schemas of fields that mean something else here than on other
    endpoints.
    """

    required: tuple[str | tuple[str, ...], ...] = ()
    """Fields without which it refuses a body; a tuple has names of which one
    must be there.
    """

    query: Mapping[str, str] = field(default_factory=dict)
    """The parameters of its query, and what each is for."""

    refusals: Refusals | None = None
    """What it refuses besides what every call of its kind may be refused
    with; None where nobody said, and the page names no codes.
    """


class PathTable:
    """The paths that are served, and who may call each.

    It reads paths more strictly than the router of the framework, for which
    `/relay/revoke%0A` is a path to `/relay/revoke`.
    """

    def __init__(self, paths: Mapping[str, Access]) -> None:
        """Take the paths; they may have parameters, as in `Route`."""
        self._exact = {
            path: access for path, access in paths.items() if "{" not in path
        }
        self._patterns = [
            (_pattern(path), path, access)
            for path, access in paths.items()
            if "{" in path
        ]

    def find(self, path: str) -> tuple[str, Access] | None:
        """Return the path of the endpoint that a request's path means, and who
        may call it; None if there is none.

        A path without a parameter counts before one with a parameter.
        """
        access = self._exact.get(path)
        if access is not None:
            return path, access

        for pattern, template, access in self._patterns:
            if pattern.fullmatch(path):
                return template, access

        return None


def _pattern(template: str) -> re.Pattern[str]:
    """Return the expression for a path with parameters."""
    parts = []
    for part in re.split(r"(\{\w+(?::path)?\})", template):
        if part.endswith(":path}"):
            parts.append(r"[^\x00-\x1f\x7f]{1,512}")
        elif part.startswith("{"):
            parts.append(r"[^/\x00-\x1f\x7f]{1,512}")
        else:
            parts.append(re.escape(part))

    return re.compile("".join(parts))

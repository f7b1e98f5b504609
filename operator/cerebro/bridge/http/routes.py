"""What an endpoint is: method, path, who may call it, and what its page says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cerebro.bridge.http.auth import Access

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint: where it is, who may call it, and what its page says."""

    method: str
    path: str
    access: Access
    handler: Handler
    summary: str
    example: Mapping[str, Any] | None = field(default=None)

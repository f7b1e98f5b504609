"""Answers: one shape for errors and for JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from cerebro.bridge.errors import ApiError


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let through. `arrived` is monotonic; `requested_at` the signed time, else the
    arrival."""

    body: bytes
    arrived: float
    requested_at: datetime
    trace_id: str


def render(error: ApiError) -> Response:
    """Turn an error into its answer."""
    return json_response(error.body(), error.status)


def json_response(body: Mapping[str, Any], status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(
        json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"),
        status,
        media_type="application/json",
    )

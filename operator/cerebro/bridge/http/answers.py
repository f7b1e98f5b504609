"""Between bytes and values: a request that the gate let through, and the JSON
of an answer or of an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import PydanticSerializationError
from starlette.responses import Response

from cerebro.bridge.answers import Answer
from cerebro.bridge.compact_json import compact_json
from cerebro.bridge.errors import ApiError


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let through the gate."""

    body: bytes
    """The bytes as they were received, at most MAX_BODY."""

    arrived: float
    """When it arrived, in seconds of the monotonic clock: answers have their
    deadline from then (A7).
    """

    requested_at: datetime
    """The time that the caller signed, else that of the arrival: of two
    requests the later one counts (A4).
    """

    trace_id: str
    """What its logs, its Session and its answer's `x-request-id` have in
    common.
    """

    internal: bool = False
    """Whether the caller sent the internal token: then it sees what operators
    see.
    """


def render(error: ApiError) -> Response:
    """Return the answer for an error, with `Retry-After` in whole seconds
    where a time is known.
    """
    response = json_response(error.body(), error.status)
    if error.retry_after is not None:
        seconds = max(1, math.ceil(error.retry_after))
        response.headers["Retry-After"] = str(seconds)

    return response


def answer_response(answer: Answer) -> Response:
    """Return the answer for a model, in the form of `json_response`."""
    try:
        text = answer.model_dump_json(by_alias=True)
    except PydanticSerializationError:
        # What UTF-8 cannot carry.
        body = answer.model_dump(by_alias=True)
        return json_response(body, answer.http_status)

    return Response(text, answer.http_status, media_type="application/json")


def json_response(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return an answer in compact JSON and UTF-8; what UTF-8 cannot carry
    becomes a question mark.
    """
    return Response(compact_json(body), status, media_type="application/json")

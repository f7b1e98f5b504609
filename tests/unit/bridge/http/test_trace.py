"""Which trace a request has: the one that its caller names, else a new one."""

from __future__ import annotations

import re

import pytest

from cerebro.bridge.http.gate import _Arrival

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def trace_of(**headers: str) -> str:
    """Return the trace of a request with these headers; `_` stands for `-`."""
    wire = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in headers.items()
    ]
    return _Arrival.of({"path": "/relay/hello", "headers": wire}).trace_id


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ({"x_request_id": "order-7"}, "order-7"),
        ({"traceparent": PARENT}, TRACE),
        ({"traceparent": f"cc-{TRACE}-00f067aa0ba902b7-01-later"}, TRACE),
        ({"x_request_id": "order-7", "traceparent": PARENT}, "order-7"),
        ({"x_request_id": "with blanks", "traceparent": PARENT}, TRACE),
    ],
)
def test_the_callers_trace_is_taken(
    headers: dict[str, str], trace: str
) -> None:
    assert trace_of(**headers) == trace


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_request_id": "x" * 129},
        {"traceparent": PARENT.upper()},
        {"traceparent": f"ff-{TRACE}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"},
        {"traceparent": f"00-{TRACE}"},
    ],
)
def test_else_it_gets_a_new_one(headers: dict[str, str]) -> None:
    first, second = trace_of(**headers), trace_of(**headers)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first not in (second, TRACE)

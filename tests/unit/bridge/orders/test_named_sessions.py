"""Sessions under their callers' names: what is read of a request, and what is shown. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.orders.decide import Known, decide
from cerebro.bridge.orders.named_sessions import shown
from cerebro.bridge.orders.writes import Create
from cerebro.bridge.requests import sessions as requests
from cerebro.bridge.store.base import milliseconds
from cerebro.resources import format_time
from support.orders import (
    IP,
    MAC,
    NAMESPACE,
    NOW,
    PHONE,
    at,
    device,
    order,
    session,
)

ENFORCED = {
    "type": "Enforced",
    "status": "True",
    "reason": "Granted",
    "message": "",
    "lastTransitionTime": format_time(NOW),
}


def start(complete: bool, **fields: Any) -> Any:
    return requests.start(fields, NOW, "trace", name="s-1", complete=complete)


def test_a_start_is_a_hello_of_the_session() -> None:
    hello = start(True, ip=IP, mac=MAC, router="R1")
    assert (hello.token, hello.mik_id, hello.client) == (
        "session:s-1",
        "R1",
        PHONE,
    )
    assert start(False, ip=IP).mik_id is None


@pytest.mark.parametrize(
    ("complete", "fields", "code"),
    [
        (False, {}, "invalid_payload"),
        (True, {"ip": IP, "router": "R1"}, "invalid_payload"),
        (True, {"ip": IP, "mac": MAC}, "invalid_payload"),
        (True, {"ip": "x", "mac": MAC, "router": "R1"}, "invalid_ip"),
        (True, {"ip": IP, "mac": "x", "router": "R1"}, "invalid_mac"),
    ],
)
def test_a_start_without_a_phone_is_refused(
    complete: bool, fields: dict[str, Any], code: str
) -> None:
    with pytest.raises(ApiError) as caught:
        start(complete, **fields)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_a1_an_authorize_is_an_order_named_after_the_session() -> None:
    read = requests.authorize({"tempo": "1500"}, NOW, "trace", name="s-1")
    assert (read.order_id, read.token) == ("session:s-1", "session:s-1")
    assert read.duration == timedelta(seconds=1.5)


@pytest.mark.parametrize("tempo", [None, 0, -1, "soon", True, 1e15])
def test_an_authorize_needs_a_length(tempo: object) -> None:
    with pytest.raises(ApiError) as caught:
        requests.authorize({"tempo": tempo}, NOW, "trace", name="s-1")
    assert caught.value.status == 400
    assert "tempo" in caught.value.text


@pytest.mark.parametrize(
    ("spec", "status", "expected", "active"),
    [
        ({}, {}, "pending", False),
        (
            {},
            {"phase": "Active", "conditions": [ENFORCED]},
            *("authorized", True),
        ),
        (
            {},
            {
                "phase": "Active",
                "conditions": [ENFORCED],
                "clientSeen": False,
            },
            *("authorized", False),
        ),
        (
            {"revoked": True, "revokedAt": format_time(at(10))},
            {},
            *("revoked", False),
        ),
        (
            {},
            {"phase": "Expired", "expiresAt": format_time(at(-1))},
            *("expired", False),
        ),
        ({}, {"phase": "Failed", "observedGeneration": 1}, "failed", False),
    ],
)
def test_a_session_is_shown_in_the_old_relay_s_words(
    spec: dict[str, Any], status: dict[str, Any], expected: str, active: bool
) -> None:
    write = decide(
        NAMESPACE, order("session:s-1"), PHONE, Known(device(), NOW)
    )
    assert isinstance(write, Create)
    body: dict[str, Any] = dict(write.body)
    body["spec"] = {**body["spec"], **spec}
    seen = shown(session(body, **status), "R1", NOW)
    assert (seen.session_id, seen.status, seen.active) == (
        "s-1",
        expected,
        active,
    )
    assert (seen.ip, seen.mac, seen.router) == (IP, MAC, "R1")
    if expected == "revoked":
        assert seen.revoked_at == milliseconds(at(10))

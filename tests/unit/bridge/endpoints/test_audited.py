"""How calls are named in audit lines."""

from __future__ import annotations

from typing import Any, Literal, cast

import pytest

from cerebro.bridge.endpoints.audited import _may_change, _named_after
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.routes import Route


def route(method: Literal["GET", "POST", "DELETE"], path: str) -> Route:
    return Route(
        method=method,
        path=path,
        access=Access.SIGNED,
        handler=cast(Any, None),
        summary="",
        answer=None,
    )


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", "/relay/exec-by-device", "EXEC_BY_DEVICE"),
        ("POST", "/hotspot/kick/by-ip", "HOTSPOT_KICK_BY_IP"),
        ("POST", "/devices", "DEVICES"),
        ("POST", "/devices/{deviceId}/sync", "DEVICES_SYNC"),
        ("DELETE", "/devices/{deviceId}", "DELETE_DEVICES"),
    ],
)
def test_an_action_is_named_after_its_path(
    method: Literal["POST", "DELETE"], path: str, action: str
) -> None:
    assert _may_change(route(method, path))
    assert _named_after(route(method, path)) == action


def test_what_changes_nothing_has_no_line() -> None:
    assert not _may_change(route("GET", "/devices/{deviceId}/status"))
    assert not _may_change(route("POST", "/relay/ping"))

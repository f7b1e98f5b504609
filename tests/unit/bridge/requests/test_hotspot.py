"""Requests of `/relay/hotspot/*`: an order, or the caller's own session in its place. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client, Revoke
from cerebro.bridge.requests import hotspot
from support.orders import IP, MAC, NOW, PHONE

HERE = {"ip": IP, "mac": MAC}


def authorize(**fields: Any) -> Authorize:
    return hotspot.authorize(fields, NOW, "trace", trial_minutes=5)


def revoke(*known: str, **fields: Any) -> Revoke:
    return hotspot.revoke(
        fields, NOW, "trace", is_known=lambda order: order in known
    )


def test_what_the_newest_dashboard_sends_is_an_order() -> None:
    order = authorize(
        identity="R1",
        pedidoId="P-1",
        **HERE,
        plano={"minutos": 60, "perfil": "fast"},
    )
    assert (order.mik_id, order.order_id) == ("R1", "P-1")
    assert order.client == PHONE
    assert order.duration == timedelta(hours=1)


def test_a1_a_session_of_the_caller_stands_in_place_of_the_order() -> None:
    order = authorize(
        sessionId="s-1", router="R1", **HERE, tempo=90_000, planId="x"
    )
    assert order.order_id == "session:s-1"
    assert order.duration == timedelta(seconds=90)
    assert authorize(sessionId="s-1", pedidoId="P-1", **HERE).order_id == "P-1"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"router": "R1", **HERE}, "missing_sessionId"),
        ({"sessionId": " ", **HERE}, "missing_sessionId"),
        ({"sessionId": "x" * 121, **HERE}, "invalid_payload"),
        ({"sessionId": 7, **HERE}, "invalid_payload"),
        ({"sessionId": "s-1"}, "invalid_payload"),
    ],
)
def test_without_a_name_or_a_client_nothing_is_authorized(
    fields: dict[str, Any], code: str
) -> None:
    with pytest.raises(ApiError) as caught:
        authorize(**fields)
    assert (caught.value.status, caught.value.code) == (400, code)


@pytest.mark.parametrize(
    ("fields", "order", "client"),
    [
        ({"pedidoId": "P-1", "sessionId": "s-1", **HERE}, "P-1", PHONE),
        ({"pedidoId": None, "sessionId": "s-1", **HERE}, "session:s-1", PHONE),
        ({"sessionId": "row-17", **HERE}, None, PHONE),
        ({"sessionId": "row-17"}, "session:row-17", Client()),
        ({"router": "R1", "mac": MAC}, None, Client(mac=MAC)),
    ],
)
def test_a_revoke_means_the_order_the_known_session_or_the_client(
    fields: dict[str, Any], order: str | None, client: Client
) -> None:
    read = revoke("session:s-1", **fields)
    assert (read.order_id, read.client) == (order, client)


def ensure_user(**fields: Any) -> hotspot.UserRequest:
    return hotspot.ensure_user(fields, NOW, "trace")


def test_f8_a_user_as_the_contract_has_it() -> None:
    wanted = ensure_user(
        mikId="R1", username="guest-1", password="pw:1", profile="gold"
    )
    assert (wanted.mik_id, wanted.user, wanted.profile) == (
        *("R1", "guest-1"),
        "gold",
    )
    assert wanted.password == "pw:1"
    assert "pw:1" not in repr(wanted)
    assert (wanted.expires_at, wanted.duration) == (None, None)


def test_f8_a_dashboard_names_a_token_and_minutes_only() -> None:
    wanted = ensure_user(identity="R1", token="t-1", minutes=30)
    again = ensure_user(identity="R1", deviceToken="t-1", minutes="30")
    assert wanted.user == again.user != "t-1"
    assert (wanted.mik_id, wanted.password) == ("R1", None)
    assert wanted.duration == again.duration == timedelta(minutes=30)
    named = ensure_user(username="guest", token="t-1", expiresAt=1767355200000)
    assert (named.user, named.duration) == ("guest", None)
    assert named.expires_at == NOW


@pytest.mark.parametrize("name", ["username", "password", "profile"])
@pytest.mark.parametrize(
    "value", ["a b", " a", " ", "é", "x" * 65, "a/b", 5, "a\n"]
)
def test_f8_what_a_user_cannot_be_made_of_is_refused_by_its_name(
    name: str, value: Any
) -> None:
    fields = {"username": "guest", name: value}
    with pytest.raises(ApiError) as caught:
        ensure_user(**fields)
    assert (caught.value.status, caught.value.code) == (400, "invalid_payload")
    assert name in caught.value.text
    assert f"{value!r}" not in caught.value.text


def test_f8_a_call_that_names_nobody_is_told_what_to_send() -> None:
    with pytest.raises(ApiError, match="username required, or token"):
        ensure_user(mikId="R1")


def test_f8_a_revoke_names_its_user_if_it_names_nothing_that_says_more() -> (
    None
):
    assert hotspot.names_user_alone({"username": "guest", "mac": MAC})
    assert not hotspot.names_user_alone({"username": "g", "pedidoId": "P-1"})
    assert not hotspot.names_user_alone({"mac": MAC})

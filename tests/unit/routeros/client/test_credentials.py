"""B7 and D2: which Secret may be used for which router, and what is taken from it. Pure."""

import base64
from typing import Any

import pytest

from cerebro.routeros.client.credentials import RouterCredentials, router_credentials
from cerebro.routeros.client.errors import SecretError


def secret(annotations: dict[str, str] | None = None, **more: str) -> dict[str, Any]:
    values = {"username": "admin", "password": "hunter2"} | more
    return {
        "type": "relay.cerebro.dev/router",
        "metadata": {"name": "router-1", "annotations": annotations},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
    }


def read(given: dict[str, Any]) -> RouterCredentials:
    return router_credentials(given, device="cafe", address="10.8.0.2")


def test_b7_the_previous_password_comes_second() -> None:
    assert read(secret()).attempts == [("admin", "hunter2")]
    assert read(secret(previousPassword="old")).attempts == [("admin", "hunter2"), ("admin", "old")]
    assert read(secret(previousPassword="hunter2")).attempts == [("admin", "hunter2")]


def test_an_empty_password_is_one() -> None:
    """A router fresh from the factory has one."""
    assert read(secret(password="")).attempts == [("admin", "")]


def test_passwords_are_not_shown() -> None:
    assert "hunter2" not in repr(read(secret(previousPassword="hunter2-old")))


@pytest.mark.parametrize(
    "annotations",
    [
        None,
        {},
        {"relay.cerebro.dev/device": "cafe"},
        {"relay.cerebro.dev/device": "cafe", "relay.cerebro.dev/address": "10.8.0.2"},
        {"other": "x"},
    ],
)
def test_d2_a_secret_may_be_used_where_it_names_nobody_else(annotations: dict[str, str] | None) -> None:
    assert read(secret(annotations)).username == "admin"


def test_d2_addresses_are_compared_by_value() -> None:
    given = secret({"relay.cerebro.dev/address": "FD00:0:0::2"})
    assert router_credentials(given, device="cafe", address="fd00::2").username == "admin"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (secret() | {"type": "Opaque"}, "router-1 is of type 'Opaque'.*relay.cerebro.dev/router"),
        (secret() | {"type": "relay.cerebro.dev/wireguard"}, "router-1 is of type"),
        (secret({"relay.cerebro.dev/device": "bar"}), "router-1 is for 'bar' only .*/device.* 'cafe'"),
        (secret({"relay.cerebro.dev/address": "10.8.0.3"}), "router-1 is for '10.8.0.3' only .*/address"),
        (secret() | {"data": {}}, "router-1 has no key username: add it"),
        (secret() | {"data": {"username": "YQ=="}}, "router-1 has no key password: add it"),
        (secret() | {"data": {"username": "YQ==", "password": "???"}}, "router-1: .* password is not base64"),
        (secret(username=""), "router-1: username is empty"),
        ({}, "is of type None"),
    ],
)
def test_d2_what_may_not_be_used_names_the_secret_and_the_fix(given: dict[str, Any], text: str) -> None:
    with pytest.raises(SecretError, match=text) as caught:
        read(given)
    assert "hunter2" not in str(caught.value)

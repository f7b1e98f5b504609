"""B7 and D2: which Secret may be used for which router, and what is taken from it. Pure."""

from dataclasses import replace

import pytest

from cerebro.kube.client.secrets import Secret
from cerebro.routeros.client.credentials import (
    RouterCredentials,
    router_credentials,
)
from cerebro.routeros.client.errors import SecretError


def secret(annotations: dict[str, str] | None = None, **more: str) -> Secret:
    values = {"username": "admin", "password": "hunter2"} | more
    data = {key: value.encode() for key, value in values.items()}
    return Secret(
        "ns",
        "router-1",
        "uid",
        "relay.cerebro.dev/router",
        annotations or {},
        data,
    )


def read(given: Secret) -> RouterCredentials:
    return router_credentials(given, device="cafe", address="10.8.0.2")


def test_b7_the_previous_password_comes_second() -> None:
    assert read(secret()).attempts == [("admin", "hunter2")]
    assert read(secret(previousPassword="old")).attempts == [
        ("admin", "hunter2"),
        ("admin", "old"),
    ]
    assert read(secret(previousPassword="hunter2")).attempts == [
        ("admin", "hunter2")
    ]


def test_an_empty_password_is_one() -> None:
    """A router fresh from the factory has one."""
    assert read(secret(password="")).attempts == [("admin", "")]


def test_a_password_that_is_no_utf_8_passes_through_byte_for_byte() -> None:
    given = replace(
        secret(), data={"username": b"admin", "password": b"\xff1"}
    )
    ((_, password),) = read(given).attempts
    assert password.encode("utf-8", "surrogateescape") == b"\xff1"


def test_passwords_are_not_shown() -> None:
    assert "hunter2" not in repr(read(secret(previousPassword="hunter2-old")))


@pytest.mark.parametrize(
    "annotations",
    [
        None,
        {},
        {"relay.cerebro.dev/device": "cafe"},
        {
            "relay.cerebro.dev/device": "cafe",
            "relay.cerebro.dev/address": "10.8.0.2",
        },
        {"other": "x"},
    ],
)
def test_d2_a_secret_may_be_used_where_it_names_nobody_else(
    annotations: dict[str, str] | None,
) -> None:
    assert read(secret(annotations)).username == "admin"


def test_d2_addresses_are_compared_by_value() -> None:
    given = secret({"relay.cerebro.dev/address": "FD00:0:0::2"})
    assert (
        router_credentials(given, device="cafe", address="fd00::2").username
        == "admin"
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            replace(secret(), type="Opaque"),
            "router-1 is of type 'Opaque'.*relay.cerebro.dev/router",
        ),
        (
            replace(secret(), type="relay.cerebro.dev/wireguard"),
            "router-1 is of type",
        ),
        (
            secret({"relay.cerebro.dev/device": "bar"}),
            "router-1 is for 'bar' only .*/device.* 'cafe'",
        ),
        (
            secret({"relay.cerebro.dev/address": "10.8.0.3"}),
            "router-1 is for '10.8.0.3' only .*/address",
        ),
        (replace(secret(), data={}), "router-1 has no key username: add it"),
        (
            replace(secret(), data={"username": b"a"}),
            "router-1 has no key password: add it",
        ),
        (secret(username=""), "router-1: username is empty"),
        (replace(secret(), type=""), "is of type ''"),
    ],
)
def test_d2_what_may_not_be_used_names_the_secret_and_the_fix(
    given: Secret, text: str
) -> None:
    with pytest.raises(SecretError, match=text) as caught:
        read(given)
    assert "hunter2" not in str(caught.value)

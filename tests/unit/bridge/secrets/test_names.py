"""The names of the Secrets that the bridge makes (D2)."""

from __future__ import annotations

from typing import Any

from cerebro.bridge.secrets.names import (
    have_same_content,
    is_made_here,
    secret_name,
    user_secret_name,
)
from cerebro.resources import Device
from support.orders import device


def with_uid(uid: str = "u-1") -> Device:
    there = device("bus05")
    metadata = there.metadata.model_copy(update={"uid": uid})

    return there.model_copy(update={"metadata": metadata})


def test_d2_each_change_of_a_secret_has_a_name_of_its_own() -> None:
    def name(*content: str, key: bytes = b"token", **metadata: Any) -> str:
        return secret_name(with_uid(**metadata), "router", key, *content)

    first = name("10.8.0.7", "relay", "one")
    assert first == name("10.8.0.7", "relay", "one")
    assert first.startswith("bus05-router-")
    others = {
        name("10.8.0.7", "relay", "two"),
        name("10.8.0.8", "relay", "one"),
        name("10.8.0.7", "relayone", ""),
        name("10.8.0.7", "relay", "one", key=b"another"),
        name("10.8.0.7", "relay", "one", uid="u-2"),
    }
    assert len(others | {first}) == 6
    assert is_made_here("bus05", "router", first)
    for theirs in ("bus05-router", "bus05-router-0123456789a", "r"):
        assert not is_made_here("bus05", "router", theirs)
    assert not is_made_here("bus05", "preshared", first)


def test_d2_a_user_s_secret_is_new_each_time_and_tells_whether_it_is_the_same() -> (
    None
):
    def name(password: str, salt: str) -> str:
        return user_secret_name(
            with_uid(), b"token", "10.0.0.1", "guest", password, salt=salt
        )

    first, again = name("one", "00000001"), name("one", "00000002")
    assert first != again
    assert have_same_content(first, again)
    assert not have_same_content(first, name("two", "00000001"))
    assert is_made_here("bus05", "user", first)
    assert not is_made_here("bus05", "router", first)
    assert not is_made_here("bus05", "preshared", first)
    assert not is_made_here("bus06", "user", first)
    assert not is_made_here("bus05", "user", "bus05-user-0123456789")

"""What a router is asked for, in the bodies of the clients of every age."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.requests import commands as requests

MAC = "AA:BB:CC:DD:EE:FF"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"mikId": "R1", "deviceId": "x"}, requests.Place(mik_id="R1")),
        ({"deviceId": "R2"}, requests.Place(mik_id="R2")),
        (
            {"host": "10.8.0.7", "user": "u", "pass": "p", "port": 8728},
            requests.Place(host="10.8.0.7"),
        ),
        ({"pedidoId": "P-1"}, requests.Place(order_id="P-1")),
        ({"deviceToken": "t"}, requests.Place(token="t")),
        ({"sid": "t"}, requests.Place(token="t")),
        ({}, requests.Place()),
    ],
)
def test_the_router_is_named_in_several_ways(
    fields: dict[str, Any], place: requests.Place
) -> None:
    assert requests.place(fields) == place


def test_a_command_may_have_its_attributes_in_params() -> None:
    fields = {
        "command": "/ip/arp/add",
        "params": {"address": "10.5.50.10", "disabled": True, "n": 1},
    }
    assert requests.sentences(fields) == [
        ("/ip/arp/add", "=address=10.5.50.10", "=disabled=yes", "=n=1")
    ]
    wrong: tuple[Any, ...] = ([], {"a": {}})
    for params in wrong:
        with pytest.raises(ApiError, match="params"):
            requests.sentences({**fields, "params": params})


def test_a_ping_has_a_default_and_a_bound() -> None:
    assert requests.ping({}) == requests.Ping(None, 3)
    assert requests.ping({"target": "a.example", "count": "99"}).count == 10
    for wrong in ({"target": "a b"}, {"count": "x"}):
        with pytest.raises(ApiError):
            requests.ping(wrong)


def test_a_kick_reads_what_its_path_is_about() -> None:
    everything = {"id": "*1", "ip": "10.5.50.10", "mac": MAC.lower()}
    kick = requests.kick(everything, "id", "ip", "mac", "user")
    assert kick.parameters == {
        "id": "*1",
        "address": "10.5.50.10",
        "macAddress": MAC,
    }
    assert requests.kick(everything, "mac").criteria == {"mac": MAC}
    with pytest.raises(ApiError, match="user required"):
        requests.kick(everything, "user")
    with pytest.raises(ApiError, match="id must be"):
        requests.kick({"id": "7"}, "id")


def test_a_probe_hides_its_password() -> None:
    key = "A" * 43 + "="
    probe = requests.probe(
        {"publicKey": key, "username": "relay", "password": "hidden"}
    )
    assert "hidden" not in repr(probe)
    for missing in ("publicKey", "username", "password"):
        fields = {"publicKey": key, "username": "u", "password": "p"}
        with pytest.raises(ApiError, match=missing):
            requests.probe({**fields, missing: None})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/ping address=1.1.1.1 count=3", ("1.1.1.1", 3)),
        ("/tool ping address=1.1.1.1", ("1.1.1.1", 3)),
        ("/ping address=1.1.1.1 count=11", None),
        ("/ping address=1.1.1.1 count=0", None),
        ("/ping address=1.1.1.1 interface=ether1", None),
        ("/ping count=3", None),
        ("/ip/arp/print", None),
    ],
)
def test_c1_a_sentence_that_pings_is_a_ping(
    line: str, expected: tuple[str, int] | None
) -> None:
    """It may be run where commands are limited to reading."""
    words = requests.sentences({"command": line})
    found = requests.ping_of(words)
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert (found.target, found.count) == expected
    assert requests.ping_of([*words, *words]) is None

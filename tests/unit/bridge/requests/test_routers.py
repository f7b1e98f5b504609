"""Requests about routers, as clients send them (contract 1.2): what is read, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.requests import routers
from cerebro.bridge.requests.routers import Login, PeerFields

KEY = "k" * 42 + "A="
LOGIN = {
    "publicIp": "203.0.113.7",
    "apiUser": "relay",
    "apiPassword": "pa ss",
}
MANAGER: dict[str, Any] = {
    "deviceId": "BUS05",
    "deviceName": "Bus 5",
    "mikrotik": LOGIN,
    "wireguard": {"peerPublicKey": KEY, "allowedIps": "192.168.88.0/24"},
}
ROUTER: dict[str, Any] = {
    "deviceId": "BUS05",
    "mikrotikPublicKey": KEY,
    "tunnelIp": "10.8.0.7",
    "mikrotik": {**LOGIN, "apiPort": 8730},
}
DEVICE: dict[str, Any] = {
    "publicKey": KEY,
    "allowedIps": ["10.8.0.7/32"],
    "meta": {"mikrotik": {"publicIp": "203.0.113.7"}, "note": 1},
    "endpoint": "203.0.113.7:13231",
    "keepalive": "25",
    "presharedKey": KEY,
}
BINDING: dict[str, Any] = {
    "publicKey": KEY,
    "deviceId": "BUS05",
    "mikrotikIp": "203.0.113.7",
}


def new_device(fields: dict[str, Any]) -> object:
    return routers.new_device(fields, "generated")


def test_a_manager_registers_key_and_credentials() -> None:
    read = routers.manager_registration(MANAGER)
    assert (read.device_id, read.public_key) == ("BUS05", KEY)
    assert (read.tunnel_ip, read.networks) == (None, ("192.168.88.0/24",))
    assert read.login == Login("relay", "pa ss", None)
    assert read.public_ip == "203.0.113.7"
    assert "pa ss" not in repr(read)


def test_a_router_registers_at_its_address() -> None:
    read = routers.router_registration(ROUTER)
    assert (read.tunnel_ip, read.networks) == ("10.8.0.7", None)
    assert read.login == Login("relay", "pa ss", 8730)
    assert not read.peer


def test_a_device_without_an_id_gets_one() -> None:
    read = routers.new_device(DEVICE, "generated")
    assert (read.device_id, read.tunnel_ip) == ("generated", None)
    assert read.peer == PeerFields("203.0.113.7:13231", 25, KEY)
    assert read.public_ip == "203.0.113.7"
    assert KEY not in repr(read.peer), "a preshared key is shown nowhere"
    assert routers.new_device(DEVICE | {"deviceId": "R1"}, "g").device_id == (
        "R1"
    )


@pytest.mark.parametrize(
    ("sent", "endpoint"),
    [
        ("vpn.example.net:13231", "vpn.example.net:13231"),
        ("vpn.example.net", "vpn.example.net:51820"),
        ("203.0.113.7", "203.0.113.7:51820"),
        ("[2001:db8::1]:13231", "[2001:db8::1]:13231"),
        ("[2001:db8::1]", "[2001:db8::1]:51820"),
        ("2001:db8::1", "[2001:db8::1]:51820"),
        ("", None),
    ],
)
def test_case_41_an_endpoint_is_split_at_its_port(
    sent: str, endpoint: str | None
) -> None:
    read = routers.new_device(DEVICE | {"endpoint": sent}, "g")
    assert read.peer.endpoint == endpoint


@pytest.mark.parametrize(
    ("reader", "good", "fields", "word"),
    [
        (routers.bootstrap, ROUTER, {"deviceId": None}, "deviceId"),
        (routers.manager_registration, MANAGER, {"deviceId": ""}, "deviceId"),
        (routers.manager_registration, MANAGER, {"mikrotik": 5}, "mikrotik"),
        (
            routers.manager_registration,
            MANAGER,
            {"mikrotik": {**LOGIN, "publicIp": None}},
            "mikrotik.publicIp",
        ),
        (
            routers.manager_registration,
            MANAGER,
            {"mikrotik": {**LOGIN, "publicIp": "a b"}},
            "mikrotik.publicIp",
        ),
        (
            routers.manager_registration,
            MANAGER,
            {"mikrotik": {**LOGIN, "apiUser": ""}},
            "mikrotik.apiUser",
        ),
        (
            routers.manager_registration,
            MANAGER,
            {"mikrotik": {**LOGIN, "apiPassword": 5}},
            "mikrotik.apiPassword",
        ),
        (
            routers.manager_registration,
            MANAGER,
            {"mikrotik": {**LOGIN, "apiPassword": "\ud800"}},
            "mikrotik.apiPassword",
        ),
        (
            routers.manager_registration,
            MANAGER,
            {"mikrotik": {**LOGIN, "apiPort": 70000}},
            "mikrotik.apiPort",
        ),
        (
            routers.manager_registration,
            MANAGER,
            {"mikrotik": {**LOGIN, "apiPort": 0}},
            "mikrotik.apiPort",
        ),
        (
            routers.manager_registration,
            MANAGER,
            {"wireguard": {}},
            "wireguard.peerPublicKey",
        ),
        (
            routers.router_registration,
            ROUTER,
            {"mikrotikPublicKey": KEY[:-1]},
            "mikrotikPublicKey",
        ),
        (routers.router_registration, ROUTER, {"tunnelIp": None}, "tunnelIp"),
        (new_device, DEVICE, {"publicKey": "x"}, "publicKey"),
        (new_device, DEVICE, {"allowedIps": None}, "allowedIps"),
        (new_device, DEVICE, {"allowedIps": "0.0.0.0/0"}, "allowedIps"),
        (new_device, DEVICE, {"endpoint": "a:b:c"}, "endpoint"),
        (new_device, DEVICE, {"endpoint": "host:0"}, "endpoint"),
        (new_device, DEVICE, {"keepalive": 1.5}, "keepalive"),
        (new_device, DEVICE, {"keepalive": -1}, "keepalive"),
        (new_device, DEVICE, {"presharedKey": "x"}, "presharedKey"),
        (new_device, DEVICE, {"meta": []}, "meta"),
        (routers.binding, BINDING, {"publicKey": None}, "publicKey"),
        (routers.binding, BINDING, {"deviceId": None}, "deviceId"),
        (routers.binding, BINDING, {"mikrotikIp": None}, "mikrotikIp"),
    ],
)
def test_case_72_what_cannot_be_used_is_named_before_anything_is_kept(
    reader: Callable[[dict[str, Any]], object],
    good: dict[str, Any],
    fields: dict[str, Any],
    word: str,
) -> None:
    with pytest.raises(ApiError) as error:
        reader({**good, **fields})
    assert (error.value.status, error.value.code) == (400, "invalid_payload")
    assert word in error.value.text
    assert "pa ss" not in error.value.text

"""A router's bootstrap over HTTP: what a request may say, what it makes and changes, when it is done (F8, F9)."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.bridge.devices import bootstrap
from cerebro.bridge.errors import ApiError
from cerebro.bridge.requests import devices
from cerebro.bridge.requests.devices import Bootstrap
from cerebro.resources import Device, Peer

KEY = "k" * 42 + "A="
OTHER_KEY = "o" * 42 + "A="
OURS = {"app.kubernetes.io/managed-by": "cerebro-bridge"}


def read(**fields: Any) -> Bootstrap:
    return devices.bootstrap(
        {"deviceId": "BUS05", "tunnelIp": "10.8.0.7", **fields}
    )


def device(
    labels: dict[str, str] | None = None,
    address: str | None = "10.8.0.7",
    **spec: Any,
) -> Device:
    """A Device behind Hub `hub`, whose address the operator gave it."""
    fields = {
        "api": {"credentialsSecretRef": {"name": "r"}},
        "hubRef": {"name": "hub"},
        **spec,
    }
    return Device.model_validate(
        {
            "metadata": {
                "name": "bus05",
                "namespace": "test",
                "labels": labels or {},
            },
            "spec": fields,
            "status": {"tunnelAddress": address} if address else {},
        }
    )


def peer(
    observed: int = 2,
    /,
    key: str = KEY,
    applied_key: str | None = None,
    **conditions: str,
) -> Peer:
    """A Peer of generation 2 with conditions by name."""
    said = [
        {
            "type": name,
            "status": status,
            "reason": "Because",
            "message": "of this",
            "observedGeneration": observed,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for name, status in conditions.items()
    ]
    return Peer.model_validate(
        {
            "metadata": {
                "name": "bus05",
                "namespace": "test",
                "generation": 2,
            },
            "spec": {
                "hubRef": {"name": "hub"},
                "publicKey": key,
                "allowedIPs": ["10.8.0.7/32"],
            },
            "status": {"conditions": said, "appliedPublicKey": applied_key},
        }
    )


def refused(error: pytest.ExceptionInfo[ApiError]) -> tuple[int, str]:
    return error.value.status, error.value.code


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        (None, None),
        ("", None),
        ("10.8.0.7/32", ()),
        (["10.8.0.7/32", "192.168.88.0/24"], ("192.168.88.0/24",)),
        ("10.8.0.7/32, 192.168.88.0/24,192.168.88.0/24", ("192.168.88.0/24",)),
        (["10.8.0.7"], ()),
    ],
)
def test_networks_in_any_shape_without_the_tunnel_address(
    networks: object, expected: tuple[str, ...] | None
) -> None:
    assert read(allowedIps=networks).lan_networks == expected


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"deviceId": None}, "deviceId"),
        ({"deviceId": "x" * 129}, "deviceId"),
        ({"deviceId": 5.5}, "deviceId"),
        ({"tunnelIp": None}, "tunnelIp"),
        ({"tunnelIp": "10.8.0.7/32"}, "tunnelIp"),
        ({"tunnelIp": "10.8.0.7; /system/reboot"}, "tunnelIp"),
        ({"devicePublicKey": "no key"}, "devicePublicKey"),
        ({"devicePublicKey": KEY[:-1]}, "devicePublicKey"),
        ({"allowedIps": ["192.168.88.1/24"]}, "allowedIps"),
        ({"allowedIps": [5]}, "allowedIps"),
        ({"allowedIps": {"a": 1}}, "allowedIps"),
        ({"allowedIps": ["10.0.0.0/8"] * 65}, "allowedIps"),
    ],
)
def test_what_cannot_be_read_names_the_field(
    fields: dict[str, Any], word: str
) -> None:
    with pytest.raises(ApiError) as error:
        read(**fields)
    assert error.value.status == 400
    assert word in error.value.text


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_a_default_route_is_refused_with_its_danger(network: str) -> None:
    with pytest.raises(ApiError, match="whole traffic") as error:
        read(allowedIps=[network])
    assert error.value.status == 400


def test_f9_a_new_device_keeps_the_callers_text_and_is_marked_as_ours() -> (
    None
):
    made = bootstrap.new_device(
        "test", "hub", read(devicePublicKey=KEY, allowedIps="192.168.88.0/24")
    )
    found = Device.model_validate(made)
    assert (found.name, found.spec.router_id, found.spec.public_key) == (
        "bus05",
        "BUS05",
        KEY,
    )
    assert found.metadata.labels == OURS
    assert found.spec.tunnel_address == "10.8.0.7"
    assert found.spec.lan_networks == ["192.168.88.0/24"]
    assert found.spec.hub_ref is not None
    assert found.spec.hub_ref.name == "hub"


def test_an_address_of_another_device_on_the_hub_is_refused() -> None:
    elsewhere = device(hubRef={"name": "another"})
    bootstrap.refuse_taken(
        read(),
        "hub",
        [elsewhere, device(address="10.8.0.8"), device(address=None)],
    )
    with pytest.raises(ApiError, match="bus05") as error:
        bootstrap.refuse_taken(read(), "hub", [elsewhere, device()])
    assert refused(error) == (409, "tunnel_ip_taken")


@pytest.mark.parametrize(
    ("there", "status", "code"),
    [
        (device(hubRef=None), 409, "device_without_hub"),
        (device(address=None), 503, "tunnel_address_pending"),
        (device(address="10.8.0.8"), 409, "tunnel_ip_mismatch"),
        (device(tunnelAddress="10.8.0.9"), 409, "tunnel_ip_mismatch"),
    ],
)
def test_a_request_that_does_not_fit_its_device_is_refused(
    there: Device, status: int, code: str
) -> None:
    with pytest.raises(ApiError) as error:
        bootstrap.check(there, read())
    assert refused(error) == (status, code)


def test_a_request_that_fits_gives_the_hub() -> None:
    assert bootstrap.check(device(), read()) == "hub"
    assert (
        bootstrap.check(device(address="fd00::7"), read(tunnelIp="fd00:0::7"))
        == "hub"
    )


def test_f8_a_device_of_ours_takes_key_and_networks() -> None:
    ours = device(OURS, lanNetworks=["192.168.1.0/24"])
    assert bootstrap.change(ours, read(devicePublicKey=KEY)) == {
        "publicKey": KEY
    }
    asked = read(devicePublicKey=KEY, allowedIps="10.8.0.7/32")
    assert bootstrap.change(ours, asked) == {
        "publicKey": KEY,
        "lanNetworks": [],
    }
    same = device(
        OURS, publicKey=KEY, lanNetworks=["10.1.0.0/16", "10.2.0.0/16"]
    )
    assert (
        bootstrap.change(
            same,
            read(devicePublicKey=KEY, allowedIps="10.2.0.0/16,10.1.0.0/16"),
        )
        == {}
    )


def test_f8_a_device_of_somebody_else_is_not_changed() -> None:
    with pytest.raises(ApiError, match="publicKey") as error:
        bootstrap.change(
            device(publicKey=OTHER_KEY), read(devicePublicKey=KEY)
        )
    assert refused(error) == (409, "device_not_ours")
    assert (
        bootstrap.change(device(publicKey=KEY), read(devicePublicKey=KEY))
        == {}
    )


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (None, "pending"),
        (peer(), "pending"),
        (
            peer(key=OTHER_KEY, applied_key=OTHER_KEY, Applied="True"),
            "pending",
        ),
        (peer(applied_key=OTHER_KEY, Applied="True"), "pending"),
        (peer(1, applied_key=KEY, Applied="True"), "pending"),
        (peer(1, Accepted="False"), "pending"),
        (peer(applied_key=KEY, Accepted="True", Applied="True"), "applied"),
    ],
)
def test_it_is_done_when_the_interface_has_this_key(
    there: Peer | None, expected: str
) -> None:
    assert bootstrap.judge(there, KEY) == expected


@pytest.mark.parametrize("condition", ["Accepted", "Applied"])
def test_f10_a_refused_peer_is_said(condition: str) -> None:
    with pytest.raises(ApiError, match=r"bus05 .* Because: of this") as error:
        bootstrap.judge(peer(2, **{condition: "False"}), KEY)
    assert refused(error) == (502, "wg_peer_failed")

"""Routers over HTTP: what a request may say, what it makes and changes, when it is done (F8, F9)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cerebro.bridge.devices import registration
from cerebro.bridge.devices.registration import Placement
from cerebro.bridge.errors import ApiError
from cerebro.bridge.requests import routers
from cerebro.bridge.requests.routers import Registration
from cerebro.resources import Device, Hub, Peer

KEY = "k" * 42 + "A="
OTHER_KEY = "o" * 42 + "A="
NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
LOGIN = {"publicIp": "203.0.113.7", "apiUser": "relay", "apiPassword": "x"}
OURS = {"app.kubernetes.io/managed-by": "cerebro-bridge"}


def read(**fields: Any) -> Registration:
    return routers.bootstrap(
        {"deviceId": "BUS05", "tunnelIp": "10.8.0.7", **fields}
    )


def hub(**status: Any) -> Hub:
    return Hub.model_validate(
        {
            "metadata": {"name": "hub", "namespace": "test"},
            "spec": {"addresses": ["10.8.0.1/16", "fd00::1/64"]},
            "status": status,
        }
    )


def changed(there: Device, request: Registration) -> dict[str, Any]:
    """The spec of the patch."""
    where = registration.place(request, hub(), there)
    spec: dict[str, Any] = registration.change(there, request, where, NOW).get(
        "spec", {}
    )
    return spec


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
    request = read(allowedIps=networks)
    assert registration.place(request, hub(), None).lan_networks == expected


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
    request = read(devicePublicKey=KEY, allowedIps="192.168.88.0/24")
    where = registration.place(request, hub(), None)
    made = registration.new_device("test", "hub", request, where, NOW)
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


def test_an_address_or_key_of_another_device_on_the_hub_is_refused() -> None:
    """Of the Hub's own key too."""
    other = device(routerID="BUS06", publicKey=OTHER_KEY)
    elsewhere = device(routerID="BUS07", hubRef={"name": "another"})
    where = Placement("10.8.0.7", None)
    registration.refuse_taken(
        read(), where, hub(), [elsewhere, device(), device(address=None)]
    )
    for request, code in (
        (read(), "tunnel_ip_taken"),
        (read(devicePublicKey=OTHER_KEY, tunnelIp="10.8.0.9"), "key_taken"),
    ):
        where = registration.place(request, hub(), None)
        with pytest.raises(ApiError, match="bus05") as error:
            registration.refuse_taken(
                request, where, hub(), [elsewhere, other]
            )
        assert refused(error) == (409, code)
    with pytest.raises(ApiError, match="the Hub hub") as error:
        registration.refuse_taken(
            read(devicePublicKey=KEY), where, hub(publicKey=KEY), []
        )
    assert refused(error) == (409, "key_taken")


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
        registration.check(there, read())
    assert refused(error) == (status, code)


def test_a_request_that_fits_gives_the_hub() -> None:
    assert registration.check(device(), read()) == "hub"
    assert (
        registration.check(
            device(address="fd00::7"), read(tunnelIp="fd00:0::7")
        )
        == "hub"
    )


def test_f8_a_device_of_ours_takes_key_and_networks() -> None:
    ours = device(OURS, lanNetworks=["192.168.1.0/24"])
    assert changed(ours, read(devicePublicKey=KEY)) == {"publicKey": KEY}
    asked = read(devicePublicKey=KEY, allowedIps="10.8.0.7/32")
    assert changed(ours, asked) == {
        "publicKey": KEY,
        "lanNetworks": [],
    }
    same = device(
        OURS, publicKey=KEY, lanNetworks=["10.1.0.0/16", "10.2.0.0/16"]
    )
    asked = read(devicePublicKey=KEY, allowedIps="10.2.0.0/16,10.1.0.0/16")
    assert changed(same, asked) == {}


def test_f8_a_device_of_somebody_else_is_not_changed() -> None:
    with pytest.raises(ApiError, match="publicKey") as error:
        changed(device(publicKey=OTHER_KEY), read(devicePublicKey=KEY))
    assert refused(error) == (409, "device_not_ours")
    assert changed(device(publicKey=KEY), read(devicePublicKey=KEY)) == {}


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
    assert registration.judge(there, KEY) == expected


@pytest.mark.parametrize("reason", ["SecretNotRead", "Applying"])
def test_a_peer_that_is_on_its_way_is_no_refusal(reason: str) -> None:
    there = peer(2, Applied="False")
    (applied,) = there.status.conditions
    on_its_way = applied.model_copy(update={"reason": reason})
    status = there.status.model_copy(update={"conditions": [on_its_way]})
    waiting = there.model_copy(update={"status": status})
    assert registration.judge(waiting, KEY) == "pending"


@pytest.mark.parametrize("condition", ["Accepted", "Applied"])
def test_f10_a_refused_peer_is_said(condition: str) -> None:
    with pytest.raises(ApiError, match=r"bus05 .* Because: of this") as error:
        registration.judge(peer(2, **{condition: "False"}), KEY)
    assert refused(error) == (502, "wg_peer_failed")


def test_case_68_it_is_not_done_while_the_old_key_is_on_the_interface() -> (
    None
):
    """Key rotation: the old key goes."""
    there = peer(applied_key=KEY, Accepted="True", Applied="True")
    rotating = there.model_copy(
        update={
            "status": there.status.model_copy(
                update={"rotated_public_keys": [OTHER_KEY]}
            )
        }
    )
    assert registration.judge(rotating, KEY) == "pending"
    assert registration.judge(there, KEY) == "applied"


@pytest.mark.parametrize(
    ("networks", "word"),
    [
        (["8.8.8.0/24"], "no private network"),
        (["100.64.0.0/10"], "no private network"),
        (["fd12::/48"], "no private network"),
        (["10.0.0.0/7"], "no private network"),
        (["10.8.3.0/24"], "network of the Hub hub"),
        (["10.0.0.0/8"], "network of the Hub hub"),
        (["10.8.0.8/32"], "network of the Hub hub"),
    ],
)
def test_case_71_only_private_networks_of_its_own_are_routed_to_a_router(
    networks: list[str], word: str
) -> None:
    with pytest.raises(ApiError, match=word) as error:
        registration.place(read(allowedIps=networks), hub(), None)
    assert refused(error) == (400, "invalid_payload")


def test_e9_the_tunnel_address_is_the_sent_one_else_the_devices_else_a_single_one() -> (
    None
):
    sent = ["192.168.88.1/32", "10.8.0.9/32", "192.168.90.0/24"]
    request = routers.new_device(
        {"deviceId": "BUS05", "publicKey": KEY, "allowedIps": sent}, "new"
    )
    new = registration.place(request, hub(), None)
    assert new.tunnel_ip == "10.8.0.9"
    assert new.lan_networks == ("192.168.88.1/32", "192.168.90.0/24")
    with pytest.raises(ApiError, match="network of the Hub"):
        registration.place(request, hub(), device(address="10.8.0.7"))
    nothing = routers.new_device(
        {"publicKey": KEY, "allowedIps": ["192.168.88.0/24"]}, "new"
    )
    assert registration.place(nothing, hub(), None).tunnel_ip is None


def register(**fields: Any) -> Registration:
    login = {"publicIp": "203.0.113.7", "apiUser": "relay"}
    return routers.router_registration(
        {
            "deviceId": "BUS05",
            "tunnelIp": "10.8.0.7",
            "mikrotikPublicKey": KEY,
            "mikrotik": {**login, "apiPassword": "pa ss", "apiPort": "8730"},
            **fields,
        }
    )


def test_d2_a_public_address_is_recorded_and_never_dialled() -> None:
    request = register()
    where = registration.place(request, hub(), None)
    made = Device.model_validate(
        registration.new_device("test", "hub", request, where, NOW)
    )
    assert made.metadata.annotations == {
        "relay.cerebro.dev/public-address": "203.0.113.7",
        "relay.cerebro.dev/bound-at": "2026-01-02T12:00:00Z",
    }
    assert made.spec.api.address is None
    assert made.spec.api.effective_port == 8730
    assert "pa ss" not in str(made)


def test_f8_a_key_that_stays_keeps_the_time_of_its_binding() -> None:
    there = device(OURS, publicKey=KEY)
    request = register(mikrotik={**LOGIN, "publicIp": "203.0.113.8"})
    where = registration.place(request, hub(), there)
    assert registration.change(there, request, where, NOW) == {
        "metadata": {
            "annotations": {"relay.cerebro.dev/public-address": "203.0.113.8"}
        }
    }


def test_f8_what_a_person_keeps_is_refused_with_the_fields() -> None:
    there = device(publicKey=KEY)
    for request, word in (
        (register(), "credentials"),
        (
            routers.new_device(
                {
                    "deviceId": "BUS05",
                    "publicKey": KEY,
                    "allowedIps": "10.8.0.7/32",
                    "keepalive": 25,
                },
                "new",
            ),
            "Peer",
        ),
        (
            Registration("BUS05", public_key=KEY, public_ip="203.0.113.9"),
            "public-address",
        ),
    ):
        with pytest.raises(ApiError, match=word) as error:
            changed(there, request)
        assert refused(error) == (409, "device_not_ours")
    known = Registration("BUS05", public_key=KEY, public_ip="10.8.0.7")
    assert changed(there, known) == {}, "it is dialled there"


def test_a_device_that_is_being_deleted_takes_nothing() -> None:
    there = device(OURS)
    leaving = there.model_copy(
        update={
            "metadata": there.metadata.model_copy(
                update={"deletion_timestamp": NOW}
            )
        }
    )
    with pytest.raises(ApiError) as error:
        registration.check(leaving, read())
    assert refused(error) == (503, "removal_pending")


def test_of_the_peer_only_what_differs_is_written() -> None:
    request = register(
        endpoint="203.0.113.7:13231", keepalive=25, presharedKey=OTHER_KEY
    )
    there = peer()
    assert registration.peer_change(there, request, "psk-1") == {
        "endpoint": "203.0.113.7:13231",
        "persistentKeepalive": 25,
        "presharedKeySecretRef": {"name": "psk-1"},
    }
    assert registration.peer_change(there, register(), None) == {}

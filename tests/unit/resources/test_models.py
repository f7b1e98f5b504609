"""The models: what is read, ignored, refused, computed, and written back. Pure; nothing is faked."""

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from cerebro.domain.lifecycle import is_current
from cerebro.resources import (
    KINDS,
    Device,
    DeviceCommand,
    Hub,
    Peer,
    Resource,
    Session,
    SessionSpec,
    age_key,
    older,
)

KEY = "3zuMtWqEUgRyXtyNjsJ7RVMaYBWGoJQVpDUqN4u6eBw="
TIMES = st.datetimes(
    min_value=datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds it
    max_value=datetime(8999, 1, 1),  # noqa: DTZ001 - hypothesis adds it
    timezones=st.just(UTC),
)
MACS = st.binary(min_size=6, max_size=6).map(
    lambda octets: octets.hex(":").upper()
)
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,20}", fullmatch=True)
ORDERS = st.text(min_size=1, max_size=128)


def session(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Session",
        "metadata": {"name": "order-1", "namespace": "cerebro"},
        "spec": {
            "deviceRef": {"name": "router-17"},
            "client": {"macAddress": "AA:BB:CC:DD:EE:FF"},
            **spec,
        },
    }


def device(**spec: Any) -> Device:
    filled = {"api": {"credentialsSecretRef": {"name": "login"}}, **spec}
    return Device.model_validate(
        {"kind": "Device", "metadata": {"name": "router-17"}, "spec": filled}
    )


def test_what_a_newer_crd_adds_is_ignored_everywhere() -> None:
    body = session(colour="red")
    body["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    body["spec"]["client"]["vlan"] = 7
    body["status"] = {"phase": "Active", "weather": "fine", "conditions": []}
    read = Session.model_validate(body)
    assert read.spec.client.mac_address == "AA:BB:CC:DD:EE:FF"
    assert read.status.phase == "Active"


def test_a_session_that_nobody_has_looked_at_may_say_minus_one() -> None:
    """A schema may have that as its default; an agent that froze such Sessions would grant none (B9)."""
    body = {
        **session(),
        "metadata": {
            "name": "order-1",
            "namespace": "cerebro",
            "generation": 1,
        },
        "status": {"observedGeneration": -1},
    }

    read = Session.model_validate(body)

    assert read.status.observed_generation == -1
    assert not is_current(read)


def test_an_absent_status_reads_as_an_empty_one() -> None:
    read = Session.model_validate(session())
    assert read.status.conditions == []
    assert read.status.finished is None
    assert read.status.condition("Ready") is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client", {"macAddress": "aa:bb:cc:dd:ee:ff"}),
        ("client", {"macAddress": "AA:BB:CC:DD:EE:FF\n"}),
        ("client", {"ipAddress": "2001:db8::1"}),
        ("client", {"ipAddress": "10.5.50.256"}),
        ("type", "Free"),
        ("expiresAt", "tomorrow"),
        ("expiresAt", "2030-01-01T00:00:00"),
        ("expiresAt", "9999-12-31T23:59:59-12:00"),
        ("expiresAt", "0001-01-01T00:00:00+12:00"),
        ("duration", "1d"),
        ("duration", 5),
        ("revoked", "perhaps"),
        ("orderID", "x" * 129),
        ("deviceRef", {"name": "Router 17"}),
    ],
)
def test_b9_a_known_field_with_a_bad_value_is_refused(
    field: str, value: Any
) -> None:
    with pytest.raises(ValidationError):
        Session.model_validate(session(**{field: value}))


@pytest.mark.parametrize(
    "networks", [["10.8.0.7"], ["10.8.0.7/24"], ["10.8.0.0/33"], ["lan"]]
)
def test_b9_a_peer_with_a_bad_network_is_refused(networks: list[str]) -> None:
    spec = {
        "hubRef": {"name": "main"},
        "publicKey": KEY,
        "allowedIPs": networks,
    }
    with pytest.raises(ValidationError):
        Peer.model_validate({"spec": spec})


def test_b9_a_key_has_32_bytes() -> None:
    for key in ("", KEY[:-1], KEY[:-2] + "x=", "A" * 44):
        with pytest.raises(ValidationError):
            Peer.model_validate(
                {"spec": {"hubRef": {"name": "main"}, "publicKey": key}}
            )


def test_a_spec_is_frozen() -> None:
    read, field = Session.model_validate(session()), "revoked"
    with pytest.raises(ValidationError, match="frozen"):
        setattr(read.spec, field, True)


def test_a_session_is_written_back_under_its_wire_names() -> None:
    read = Session.model_validate(
        session(
            orderID="ção",
            duration="90m",
            requestedAt="2030-01-01T13:00:00+01:00",
            supersedes={"name": "s"},
        )
    )
    assert read.spec.order_id == "ção"
    assert read.spec.duration == timedelta(minutes=90)
    assert read.spec.wire() == {
        "deviceRef": {"name": "router-17"},
        "client": {"macAddress": "AA:BB:CC:DD:EE:FF"},
        "type": "Paid",
        "orderID": "ção",
        "duration": "1h30m",
        "revoked": False,
        "requestedAt": "2030-01-01T12:00:00Z",
        "supersedes": {"name": "s"},
    }


@given(
    mac=st.none() | MACS,
    ip=st.none() | st.ip_addresses(v=4).map(str),
    order=st.none() | ORDERS,
    expires=st.none() | TIMES,
    duration=st.none()
    | st.integers(1, 10**9).map(lambda ms: timedelta(milliseconds=ms)),
    requested=st.none() | TIMES,
    kind=st.sampled_from(["Paid", "Trial"]),
    revoked=st.booleans(),
    name=NAMES,
)
def test_any_session_round_trips(
    *,
    mac: str | None,
    ip: str | None,
    order: str | None,
    expires: datetime | None,
    duration: timedelta | None,
    requested: datetime | None,
    kind: str,
    revoked: bool,
    name: str,
) -> None:
    spec = SessionSpec.model_validate(
        {
            "device_ref": {"name": name},
            "client": {"mac_address": mac, "ip_address": ip},
            "order_id": order,
            "expires_at": expires,
            "duration": duration,
            "requested_at": requested,
            "type": kind,
            "revoked": revoked,
        }
    )
    assert SessionSpec.model_validate(spec.wire()) == spec
    assert (
        SessionSpec.model_validate_json(spec.model_dump_json(by_alias=True))
        == spec
    )


@given(
    st.lists(
        st.ip_addresses(v=4).map(lambda ip: f"{ip}/32"),
        max_size=8,
        unique=True,
    ),
    NAMES,
)
def test_any_peer_round_trips(networks: list[str], name: str) -> None:
    body = {
        "kind": "Peer",
        "spec": {
            "hubRef": {"name": name},
            "publicKey": KEY,
            "allowedIPs": networks,
        },
    }
    read = Peer.model_validate(body)
    assert read.wire()["spec"] == body["spec"]
    assert all(
        ipaddress.ip_network(network) for network in read.spec.allowed_ips
    )


def test_defaults_that_depend_on_another_field_are_computed() -> None:
    plain = device(hubRef={"name": "main"})
    assert plain.spec.api.port is None
    assert plain.spec.api.effective_port == 8728
    assert (plain.router_id, plain.api_address) == ("router-17", None)
    plain.status.tunnel_address = "10.8.0.7"
    assert plain.api_address == "10.8.0.7"
    assert (
        device(tunnelAddress="10.8.0.9").api_address is None
    )  # the operator has not said that it is free
    tls = {
        "tls": {"mode": "Insecure"},
        "address": "192.0.2.1",
        "credentialsSecretRef": {"name": "login"},
    }
    assert device(api=tls).spec.api.effective_port == 8729
    assert device(api=tls).api_address == "192.0.2.1"
    assert device(api={**tls, "port": 9}).spec.api.effective_port == 9
    assert device(routerID="MIK-17").router_id == "MIK-17"
    hub = Hub.model_validate(
        {"metadata": {"name": "main"}, "spec": {"addresses": ["10.8.0.1/16"]}}
    )
    assert hub.private_key_secret_name == "main-wireguard"


def test_a_command_keeps_its_words() -> None:
    words = ["/ip/arp/print", "=.proplist=address", "?interface=bridge"]
    body = {
        "spec": {
            "deviceRef": {"name": "r"},
            "sentences": [words],
            "ttlAfterFinished": "0s",
        }
    }
    read = DeviceCommand.model_validate(body)
    assert read.spec.sentences == [words]
    assert (read.spec.timeout, read.spec.ttl_after_finished) == (
        timedelta(seconds=3),
        timedelta(0),
    )


def test_every_kind_is_listed_under_its_own_name() -> None:
    assert list(KINDS) == ["Hub", "Peer", "Device", "Session", "DeviceCommand"]
    for name, kind in KINDS.items():
        assert issubclass(kind.model, BaseModel)
        assert kind.model.model_fields["kind"].default == name == kind.kind


def at(created: str | None, namespace: str, name: str) -> Resource:
    return Resource.model_validate(
        {
            "kind": "Peer",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "creationTimestamp": created,
            },
        }
    )


def test_older_is_the_smaller_creation_then_namespace_then_name() -> None:
    in_order = [
        at("2030-01-01T00:00:00Z", "z", "z"),
        at("2030-01-02T00:00:00Z", "a", "b"),
        at("2030-01-02T00:00:00Z", "a", "c"),
        at("2030-01-02T00:00:00Z", "b", "a"),
        at(None, "a", "a"),
    ]
    assert sorted([*in_order[2:], *in_order[:2]], key=age_key) == in_order
    assert older(in_order[0], in_order[1])
    assert not older(in_order[1], in_order[0])
    assert not older(in_order[0], in_order[0])

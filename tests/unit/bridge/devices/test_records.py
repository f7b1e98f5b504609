"""What is said of a router and its key. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from cerebro.agent.hubs.metrics import PeerCollector, PeerReading
from cerebro.bridge.devices import records
from cerebro.bridge.devices.bindings import peer_records
from cerebro.bridge.devices.figures import Figures, take
from cerebro.bridge.devices.wireguard import wireguard_state
from cerebro.resources import Device, Peer
from cerebro.wireguard.model import ActualPeer

KEY = "A" * 43 + "="
PSK = "p" * 42 + "A="


def condition(name: str, status: str) -> dict[str, Any]:
    return {
        "type": name,
        "status": status,
        "reason": "Because",
        "message": f"{name} is {status}",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-02T12:00:00Z",
    }


def device(*conditions: tuple[str, str], **metadata: Any) -> Device:
    said = [condition(name, status) for name, status in conditions]
    return Device.model_validate(
        {
            "metadata": {
                "name": "bus05",
                "namespace": "test",
                "uid": "u-1",
                "generation": 1,
                "creationTimestamp": "2026-01-02T12:00:00Z",
                **metadata,
            },
            "spec": {
                "routerID": "BUS05",
                "hubRef": {"name": "hub"},
                "publicKey": KEY,
                "lanNetworks": ["192.168.88.0/24"],
                "api": {"credentialsSecretRef": {"name": "r"}},
            },
            "status": {
                "tunnelAddress": "10.8.0.7",
                "identity": "Bus 5",
                "version": "7.16",
                "board": "hAP",
                "conditions": said,
            },
        }
    )


def peer(applied: str = "True") -> Peer:
    said = [condition("Applied", applied)]
    return Peer.model_validate(
        {
            "metadata": {"name": "bus05", "namespace": "t", "generation": 1},
            "spec": {
                "hubRef": {"name": "hub"},
                "deviceRef": {"name": "bus05"},
                "publicKey": KEY,
                "allowedIPs": ["10.8.0.7/32"],
                "presharedKeySecretRef": {"name": "psk"},
                "persistentKeepalive": 25,
            },
            "status": {
                "appliedPublicKey": KEY,
                "state": "Online",
                "lastHandshakeTime": "2026-01-02T12:00:00Z",
                "endpoint": "203.0.113.7:13231",
                "conditions": said,
            },
        }
    )


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([], "UNKNOWN"),
        ([("Ready", "Unknown")], "UNKNOWN"),
        ([("Reachable", "True")], "UNKNOWN"),
        ([("Reachable", "True"), ("Authenticated", "True")], "ONLINE"),
        ([("Reachable", "False"), ("Authenticated", "True")], "UNREACHABLE"),
        ([("Reachable", "True"), ("Authenticated", "False")], "AUTH_FAILED"),
    ],
)
def test_the_router_s_status_is_that_of_the_device_s_conditions(
    conditions: list[tuple[str, str]], status: str
) -> None:
    told = records.mik_status(device(*conditions))
    assert told.status == status
    assert (told.info is not None) is (status == "ONLINE")


def test_case_69_and_70_a_status_says_what_is_so_and_no_secret() -> None:
    there = records.device_status(device(), peer())
    assert there.has_peer
    record = there.device
    assert (record.device_id, record.status) == ("BUS05", "provisioned")
    assert record.allowed_ips == ["10.8.0.7/32", "192.168.88.0/24"]
    assert record.keepalive == 25
    assert "psk" not in there.model_dump_json()
    for missing in (None, peer("False"), peer("Unknown")):
        told = records.device_status(device(), missing)
        assert (told.has_peer, told.device.status) == (False, "registered")


def test_f8_a_binding_that_nobody_made_dates_from_its_device() -> None:
    made = records.binding(device())
    started = int(datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp())
    assert (made.device_id, made.mikrotik_ip, made.created_at) == (
        *("BUS05", "10.8.0.7"),
        started,
    )
    notes = {
        "relay.cerebro.dev/bound-at": "2026-01-02T12:01:00Z",
        "relay.cerebro.dev/public-address": "203.0.113.7",
    }
    told = records.binding(device(annotations=notes))
    assert told.mikrotik_ip == "203.0.113.7"
    assert told.created_at == started + 60
    by_hand = device(annotations={"relay.cerebro.dev/bound-at": "yesterday"})
    assert records.binding(by_hand).created_at == started


def test_peers_have_their_routers_and_the_agents_figures() -> None:
    """Without figures only the age of an old handshake is known: a status is written when its state changes."""
    started = datetime(2026, 1, 2, 12, tzinfo=UTC).timestamp()
    seen = {("hub", "bus05"): Figures(started + 20, 7, 8)}
    tunnels = wireguard_state([], [peer()], seen).tunnels
    (told,) = peer_records(tunnels, lambda _: device(), started + 50.5)
    assert (told.public_key, told.status) == (KEY, "ONLINE")
    assert (told.handshake_age, told.rx, told.tx) == (30, 7, 8)
    assert told.endpoint == "203.0.113.7:13231"
    assert told.device is not None
    assert told.device.device_id == "BUS05"

    tunnels = wireguard_state([], [peer()], {}).tunnels
    (alone,) = peer_records(tunnels, lambda _: None, started)
    assert (alone.handshake_age, alone.rx, alone.tx) == (None, None, None)
    assert alone.device is None
    offline = peer().model_copy(deep=True)
    offline.status.__dict__["state"] = "Offline"
    tunnels = wireguard_state([], [offline], {}).tunnels
    (told,) = peer_records(tunnels, lambda _: None, started + 600)
    assert (told.status, told.handshake_age) == ("OFFLINE", 600)


def test_the_figures_are_those_of_an_agent_s_page() -> None:
    """As the real agent's metrics are written."""
    readings = [
        PeerReading(
            namespace,
            "hub",
            name,
            ActualPeer(
                KEY, frozenset(), last_handshake=at, rx_bytes=rx, tx_bytes=8
            ),
        )
        for namespace, name, at, rx in (
            ("test", "bus05", 1_700_000_000.0, 2**53),
            ("test", "never", 0.0, 0),
            ("another", "bus05", 1.0, 1),
        )
    ]
    registry = CollectorRegistry()
    registry.register(PeerCollector(lambda: readings))
    figures: dict[tuple[str, str], Figures] = {}
    take(figures, generate_latest(registry).decode().splitlines(), "test")
    assert figures == {
        ("hub", "bus05"): Figures(1_700_000_000.0, 2**53, 8),
        ("hub", "never"): Figures(None, 0, 8),
    }

"""What Hubs and Peers say of the tunnels. Pure."""

from __future__ import annotations

from typing import Any

from cerebro.bridge.devices.wireguard import wireguard_state
from cerebro.resources import Hub, Peer

KEY = "A" * 43 + "="


def hub(name: str, ready: str | None) -> Hub:
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "Ready",
        "message": "",
        "lastTransitionTime": "2026-01-02T12:00:00Z",
    }
    status: dict[str, Any] = {"conditions": [condition]} if ready else {}
    return Hub.model_validate(
        {
            "metadata": {"name": name, "namespace": "test"},
            "spec": {"interface": name, "addresses": ["10.8.0.1/24"]},
            "status": status,
        }
    )


def peer(name: str, **status: Any) -> Peer:
    return Peer.model_validate(
        {
            "metadata": {"name": name, "namespace": "test"},
            "spec": {
                "hubRef": {"name": "wg0"},
                "deviceRef": {"name": name},
                "publicKey": KEY,
                "allowedIPs": ["10.8.0.7/32"],
            },
            "status": status,
        }
    )


def test_the_tunnels_are_up_when_each_hub_is_ready() -> None:
    for hubs, up in (
        ([], False),
        ([hub("wg0", "True")], True),
        ([hub("wg0", "True"), hub("wg1", "False")], False),
        ([hub("wg0", None)], False),
    ):
        assert wireguard_state(hubs, [], {}).up is up


def test_a_peer_has_the_old_relay_s_states() -> None:
    state = wireguard_state(
        [hub("wg0", "True")],
        [
            peer("r2", state="Offline"),
            peer(
                "r1", state="Online", lastHandshakeTime="2026-01-02T12:00:00Z"
            ),
            peer("r3"),
        ],
        {},
    )
    assert [(one.name, one.state) for one in state.tunnels] == [
        ("r1", "ONLINE"),
        ("r2", "OFFLINE"),
        ("r3", "NEVER_CONNECTED"),
    ]
    first = state.tunnels[0]
    assert (first.device, first.public_key) == ("r1", KEY)
    assert first.allowed_ips == ("10.8.0.7/32",)
    assert first.last_handshake is not None

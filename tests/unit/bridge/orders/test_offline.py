"""A router that is offline: which requests are refused for it (F5)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.orders.offline import refuse_offline, refuse_rejecting
from cerebro.resources import Device, Peer, format_time
from support.orders import NOW, device, order, revoke

KEY = "R" * 42 + "A="
LONG_AGO, SHORTLY = timedelta(seconds=301), timedelta(seconds=299)


def peer(
    state: str | None = "Offline", ago: timedelta | None = LONG_AGO
) -> Peer:
    """The Device's Peer, as its agent reported it when its state changed last."""
    heard_at = format_time(NOW - ago) if ago is not None else None
    return Peer.model_validate(
        {
            "metadata": {"name": "router-1", "namespace": "relay"},
            "spec": {"hubRef": {"name": "hub"}, "publicKey": KEY},
            "status": {"state": state, "lastHandshakeTime": heard_at},
        }
    )


def of_spec(**fields: str) -> Device:
    """The Device, with more in its spec."""
    body = device().wire()
    body["spec"].update(fields)
    return Device.model_validate(body)


UNKNOWN = [
    peer("NeverConnected", None),
    peer(None, None),
    peer("Online", LONG_AGO),
    peer("Offline", SHORTLY),
    None,
]


def test_f5_an_event_that_names_its_peer_is_refused_while_that_is_offline() -> (
    None
):
    for intent in (order(), revoke()):
        named = intent.model_copy(update={"peer_public_key": KEY})
        with pytest.raises(ApiError) as caught:
            refuse_offline(named, device(), peer(), NOW)
        assert (caught.value.status, caught.value.code) == (
            409,
            "peer_offline",
        )
        for known in UNKNOWN:
            refuse_offline(named, device(), known, NOW)
        refuse_offline(named, None, peer(), NOW)
        refuse_offline(intent, device(), peer(), NOW)
        another = intent.model_copy(update={"peer_public_key": "another"})
        refuse_offline(another, device(), peer(), NOW)


def test_f5_a_device_that_rejects_refuses_orders_while_it_is_offline() -> None:
    rejecting = of_spec(whenOffline="Reject")
    with pytest.raises(ApiError, match="no handshake since") as caught:
        refuse_rejecting(rejecting, peer(), NOW)
    assert caught.value.code == "peer_offline"
    refuse_rejecting(device(), peer(), NOW)
    for known in UNKNOWN:
        refuse_rejecting(rejecting, known, NOW)


def test_f5_how_old_a_handshake_may_be_is_a_field_of_the_device() -> None:
    patient = of_spec(whenOffline="Reject", offlineAfter="10m")
    refuse_rejecting(patient, peer(), NOW)
    strict = of_spec(whenOffline="Reject", offlineAfter="1m")
    with pytest.raises(ApiError):
        refuse_rejecting(strict, peer(ago=SHORTLY), NOW)

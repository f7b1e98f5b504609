"""When a router behind a tunnel may be dialled. Pure."""

import pytest

from cerebro.agent.tunnel_status import NOT_CARRIED, dialling_obstacle
from cerebro.resources import Device


@pytest.mark.parametrize("address", ["fd00::7", "FD00::7", "fd00:0::07"])
def test_s4_a_tunnel_address_waits_for_its_tunnel_however_it_is_spelt(
    address: str,
) -> None:
    """Case S4: without the peer the password would leave outside the tunnel."""
    obstacle = dialling_obstacle(device(address), NOT_CARRIED)
    assert obstacle is not None
    assert obstacle.reason == "HubNotCarried"


def test_an_address_outside_the_tunnel_does_not_wait_for_it() -> None:
    assert dialling_obstacle(device("192.0.2.7"), NOT_CARRIED) is None


def device(address: str) -> Device:
    """Return a Device behind a Hub that is dialled at that address."""
    api = {
        "address": address,
        "allowPlaintext": True,
        "credentialsSecretRef": {"name": "s"},
    }
    spec = {
        "hubRef": {"name": "h"},
        "publicKey": "A" * 43 + "=",
        "api": api,
    }
    meta = {"name": "d", "namespace": "ns"}
    status = {"tunnelAddress": "fd00::7"}
    return Device.model_validate(
        {"metadata": meta, "spec": spec, "status": status}
    )

"""That a connection which believes whoever answers is called insecure. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.agent.devices.fitness.encryption import encryption_warnings
from cerebro.resources import Device


def reasons(mode: str, **spec: Any) -> list[str]:
    """Return the reasons of the warnings of a Device with this TLS."""
    api = {
        "address": "192.0.2.7",
        "tls": {"mode": mode},
        "credentialsSecretRef": {"name": "s"},
        **spec.pop("api", {}),
    }
    device = Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns"},
            "spec": {"api": api, **spec},
            "status": {"tunnelAddress": "10.8.0.7"},
        }
    )
    return [warning.reason for warning in encryption_warnings(device)]


def test_insecure_is_named() -> None:
    assert reasons("Insecure") == ["InsecureTLS"]
    assert reasons("Verify") == []


@pytest.mark.parametrize("address", ["10.8.0.7", None])
def test_the_tunnel_knows_the_router_by_its_key(address: str | None) -> None:
    inside = {
        "hubRef": {"name": "h"},
        "api": {"address": address},
    }
    assert reasons("Insecure", **inside) == []
    past_it = {**inside, "api": {"address": "192.0.2.7"}}
    assert reasons("Insecure", **past_it) == ["InsecureTLS"]

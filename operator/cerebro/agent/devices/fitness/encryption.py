"""What a person is told of how the connection to a router is encrypted. Pure."""

from __future__ import annotations

from cerebro.agent.devices.model import DeviceWarning
from cerebro.resources import Device


def encryption_warnings(device: Device) -> tuple[DeviceWarning, ...]:
    """Return a warning if whoever answers is taken for the router: with
    `Insecure`, unless the tunnel knows the router by its key.
    """
    if device.spec.api.tls.mode != "Insecure" or device.dials_tunnel:
        return ()

    message = (
        "spec.api.tls.mode is Insecure: the connection is encrypted, but whoever answers at that address is taken for "
        "the router and is given the password. Give the service api-ssl a certificate, and write mode: Verify"
    )

    return (DeviceWarning("InsecureTLS", message),)

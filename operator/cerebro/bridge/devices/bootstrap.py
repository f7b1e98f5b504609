"""Decides what a router's bootstrap over HTTP may have and what it changes
(F8, F9). Pure.

The request and its answers are described in docs/http.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Literal

from cerebro.bridge.errors import ApiError
from cerebro.bridge.requests.devices import Bootstrap
from cerebro.resources import GROUP_VERSION, Condition, Device, Peer
from cerebro.resources.naming import (
    LABEL_MANAGED_BY,
    MANAGED_BY_BRIDGE,
    came_over_http,
    device_name,
)


def new_device(namespace: str, hub: str, request: Bootstrap) -> dict[str, Any]:
    """Return the manifest of the Device for a router that has none (F9).

    Its credentials are a Secret that a person makes.
    """

    name = device_name(request.device_id)
    spec: dict[str, Any] = {
        "routerID": request.device_id,
        "hubRef": {"name": hub},
        "tunnelAddress": request.tunnel_ip,
        "api": {"credentialsSecretRef": {"name": f"{name}-router"}},
    }
    if request.public_key:
        spec["publicKey"] = request.public_key

    if request.lan_networks:
        spec["lanNetworks"] = list(request.lan_networks)

    labels = {LABEL_MANAGED_BY: MANAGED_BY_BRIDGE}
    metadata = {"name": name, "namespace": namespace, "labels": labels}

    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Device",
        "metadata": metadata,
        "spec": spec,
    }


def refuse_taken(
    request: Bootstrap, hub: str, devices: Iterable[Device]
) -> None:
    """Refuse a tunnel address that another Device of the Hub has.

    Raises ApiError 409 `tunnel_ip_taken`.
    """
    for device in devices:
        reference = device.spec.hub_ref
        on_this_hub = reference is not None and reference.name == hub
        if on_this_hub and _tunnel_address(device) == request.tunnel_ip:
            raise ApiError(
                409,
                "tunnel_ip_taken",
                f"tunnelIp {request.tunnel_ip} is that of the Device {device.name}",
            )


def check(device: Device, request: Bootstrap) -> str:
    """Return the name of the Device's Hub.

    Raises ApiError if the Device has no Hub (409), no tunnel address yet
    (503), or another one than the request (409).
    """

    if device.spec.hub_ref is None:
        raise ApiError(
            409,
            "device_without_hub",
            f"the Device {device.name} has no spec.hubRef: it is reached directly",
        )

    address = _tunnel_address(device)
    if address is None:
        raise ApiError(
            503,
            "tunnel_address_pending",
            f"the Device {device.name} has no tunnel address yet: the operator allocates it; try again",
        )

    if address != request.tunnel_ip:
        raise ApiError(
            409,
            "tunnel_ip_mismatch",
            f"the tunnel address of the Device {device.name} is {address}, not {request.tunnel_ip}",
            tunnelIp=address,
        )

    return device.spec.hub_ref.name


def change(device: Device, request: Bootstrap) -> dict[str, Any]:
    """Return the fields of the Device's spec that the request changes, under
    their wire names.

    Raises ApiError 409 `device_not_ours` if somebody else made the Device:
    only its author changes it (F8).
    """

    spec: dict[str, Any] = {}
    if request.public_key != device.spec.public_key:
        spec["publicKey"] = request.public_key

    networks = request.lan_networks
    if networks is not None and set(networks) != set(device.spec.lan_networks):
        spec["lanNetworks"] = list(networks)

    if spec and not came_over_http(device):
        fields = " and ".join(f"spec.{name}" for name in spec)
        raise ApiError(
            409,
            "device_not_ours",
            f"the Device {device.name} was not made over HTTP, so it is not changed over HTTP: write its {fields} "
            "where it is kept",
        )

    return spec


def judge(peer: Peer | None, key: str) -> Literal["applied", "pending"]:
    """Return whether the Hub's interface has the key.

    Raises ApiError 502 `wg_peer_failed` if the Hub refuses it.
    """

    if peer is None or peer.spec.public_key != key:
        return "pending"

    for name in ("Accepted", "Applied"):
        condition = _current_condition(peer, name)
        if condition is not None and condition.status == "False":
            raise ApiError(
                502,
                "wg_peer_failed",
                f"the Peer {peer.name} is not on the hub's interface: {condition.reason}: {condition.message}",
            )

    applied = _current_condition(peer, "Applied")
    if applied is None or applied.status != "True":
        return "pending"

    return "applied" if peer.status.applied_public_key == key else "pending"


def _current_condition(peer: Peer, name: str) -> Condition | None:
    """Return a condition that was written for this generation of the Peer;
    None if it is older or absent.
    """
    condition = peer.status.condition(name)
    if condition is None:
        return None

    return (
        condition
        if (condition.observed_generation or 0) >= peer.metadata.generation
        else None
    )


def _tunnel_address(device: Device) -> str | None:
    """Return the tunnel address in its usual spelling: the one in the spec,
    else the allocated one.
    """
    address = device.spec.tunnel_address or device.status.tunnel_address
    return str(ipaddress.ip_address(address)) if address else None

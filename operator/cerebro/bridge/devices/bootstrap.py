"""Decides what a router's bootstrap over HTTP asks for and changes (contract 1.2 and 6.1; rules F8, F9). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Literal

from cerebro.bridge.errors import ApiError
from cerebro.bridge.requests.devices import Bootstrap
from cerebro.resources import GROUP_VERSION, Condition, Device, Peer
from cerebro.resources.naming import LABEL_MANAGED_BY, MANAGED_BY_BRIDGE, device_name


def new_device(namespace: str, hub: str, request: Bootstrap) -> dict[str, Any]:
    """Give the Device for a router that has none (F9). Its credentials are a Secret that a person makes."""
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
    return {"apiVersion": GROUP_VERSION, "kind": "Device", "metadata": metadata, "spec": spec}


def refuse_taken(request: Bootstrap, hub: str, devices: Iterable[Device]) -> None:
    """Refuse an address of the Hub that another Device has; raises ApiError 409."""
    for device in devices:
        reference = device.spec.hub_ref
        if reference and reference.name == hub and _address(device) == request.tunnel_ip:
            raise ApiError(
                409, "tunnel_ip_taken", f"tunnelIp {request.tunnel_ip} is that of the Device {device.name}"
            )


def check(device: Device, request: Bootstrap) -> str:
    """Give the Hub's name of a Device that the request fits; raises ApiError."""
    if device.spec.hub_ref is None:
        raise ApiError(
            409, "device_without_hub", f"the Device {device.name} has no spec.hubRef: it is reached directly"
        )
    address = _address(device)
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
    """Give what of the Device's spec the request changes; empty when nothing.

    Raises ApiError 409 where somebody else made the Device: only its author changes it (F8).
    """
    spec: dict[str, Any] = {}
    if request.public_key != device.spec.public_key:
        spec["publicKey"] = request.public_key
    networks = request.lan_networks
    if networks is not None and set(networks) != set(device.spec.lan_networks):
        spec["lanNetworks"] = list(networks)
    if spec and device.metadata.labels.get(LABEL_MANAGED_BY) != MANAGED_BY_BRIDGE:
        fields = " and ".join(f"spec.{name}" for name in spec)
        raise ApiError(
            409,
            "device_not_ours",
            f"the Device {device.name} was not made over HTTP, so it is not changed over HTTP: write its {fields} "
            "where it is kept",
        )
    return spec


def judge(peer: Peer | None, key: str) -> Literal["applied", "pending"]:
    """Say whether the key is on the hub's interface; raises ApiError 502 when it is refused there."""
    if peer is None or peer.spec.public_key != key:
        return "pending"
    for name in ("Accepted", "Applied"):
        said = peer.status.condition(name)
        if said is not None and said.status == "False" and _current(said, peer):
            raise ApiError(
                502,
                "wg_peer_failed",
                f"the Peer {peer.name} is not on the hub's interface: {said.reason}: {said.message}",
            )
    applied = peer.status.condition("Applied")
    done = applied is not None and applied.status == "True" and _current(applied, peer)
    return "applied" if done and peer.status.applied_public_key == key else "pending"


def _current(said: Condition, peer: Peer) -> bool:
    return (said.observed_generation or 0) >= peer.metadata.generation


def _address(device: Device) -> str | None:
    text = device.spec.tunnel_address or device.status.tunnel_address
    return str(ipaddress.ip_address(text)) if text else None

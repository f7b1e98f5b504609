"""Decides what a router that comes over HTTP may have, and what a request
changes of it (F8, F9). Pure.

The requests and their answers are described in docs/http.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.requests.routers import Registration
from cerebro.resources import (
    GROUP_VERSION,
    Condition,
    Device,
    Hub,
    Peer,
    format_time,
    reasons,
)
from cerebro.resources.addresses import normal_host, same_host
from cerebro.resources.naming import (
    ANNOTATION_BOUND_AT,
    ANNOTATION_PUBLIC_ADDRESS,
    LABEL_MANAGED_BY,
    MANAGED_BY_BRIDGE,
    came_over_http,
    device_name,
)

_PRIVATE = [
    ipaddress.IPv4Network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
]
"""RFC 1918: what a caller may have routed to its router."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a router is: in the tunnel, and which networks are behind it."""

    tunnel_ip: str | None
    """None: the operator allocates one (E9)."""

    lan_networks: tuple[str, ...] | None
    """None if the request names no networks."""


def place(request: Registration, hub: Hub, device: Device | None) -> Placement:
    """Return where a request puts a router.

    The tunnel address is the one in the request, else that of the Device, else
    the first single address in allowedIps that is in a network of the Hub. The
    other networks are behind the router.

    Raises ApiError 400 for a network that is not private, and for one that
    overlaps the Hub's own.
    """

    inside = [
        ipaddress.ip_interface(text).network for text in hub.spec.addresses
    ]

    sent = [ipaddress.ip_network(text) for text in request.networks or ()]
    known = tunnel_address(device) if device is not None else None
    own = request.tunnel_ip or known or _first_inside(sent, inside)

    own_network = host_network(own) if own is not None else None
    lan = [network for network in sent if str(network) != own_network]

    for network in lan:
        _check_network(network, inside, hub)

    return Placement(
        tunnel_ip=own,
        lan_networks=None
        if request.networks is None
        else tuple(str(network) for network in lan),
    )


def _first_inside(
    sent: Sequence[Network], inside: Sequence[Network]
) -> str | None:
    """Return the first single address that is in one of the networks."""
    for network in sent:
        is_single = network.prefixlen == network.max_prefixlen
        address = network.network_address
        if is_single and any(address in hub for hub in inside):
            return str(address)

    return None


def host_network(address: str) -> str:
    """Return the network that is a single address: of 10.8.0.7 it is
    10.8.0.7/32.
    """
    return str(ipaddress.ip_network(address))


def _check_network(
    network: Network, inside: Sequence[Network], hub: Hub
) -> None:
    """Raise ApiError 400 for a network that no caller may take."""
    is_private = isinstance(network, ipaddress.IPv4Network) and any(
        network.subnet_of(private) for private in _PRIVATE
    )

    if not is_private:
        raise invalid(
            f"allowedIps: {network} is no private network: name networks behind the router that are within "
            "10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
        )

    if any(network.overlaps(own) for own in inside):
        raise invalid(
            f"allowedIps: {network} is in the network of the Hub {hub.name}, where other routers are: "
            "name what is behind this router"
        )


def new_device(
    namespace: str,
    hub: str,
    request: Registration,
    placement: Placement,
    now: datetime,
) -> dict[str, Any]:
    """Return the manifest of the Device for a router that has none (F9).

    It names the Secret that a person makes; where the request has credentials,
    the Device gets the name of the Secret with them once it has an address.
    """

    name = device_name(request.device_id)
    api: dict[str, Any] = {"credentialsSecretRef": {"name": f"{name}-router"}}
    if request.login is not None and request.login.port is not None:
        api["port"] = request.login.port

    spec: dict[str, Any] = {
        "routerID": request.device_id,
        "hubRef": {"name": hub},
        "api": api,
    }

    if placement.tunnel_ip:
        spec["tunnelAddress"] = placement.tunnel_ip

    if request.public_key:
        spec["publicKey"] = request.public_key

    if placement.lan_networks:
        spec["lanNetworks"] = list(placement.lan_networks)

    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": {LABEL_MANAGED_BY: MANAGED_BY_BRIDGE},
    }

    annotations = _annotations(request, now, binds=bool(request.public_key))
    if annotations:
        metadata["annotations"] = annotations

    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Device",
        "metadata": metadata,
        "spec": spec,
    }


def refuse_taken(
    request: Registration,
    placement: Placement,
    hub: Hub,
    devices: Iterable[Device],
) -> None:
    """Refuse a tunnel address or a key that another Device of the Hub has, and
    the Hub's own key.

    Raises ApiError 409 `tunnel_ip_taken` or `key_taken`.
    """

    key = request.public_key
    if key is not None and key == hub.status.public_key:
        raise ApiError(
            409,
            "key_taken",
            f"the key is that of the Hub {hub.name}: send the router's own",
        )

    name = request.device_id.casefold()
    for device in devices:
        reference = device.spec.hub_ref
        is_another = device.router_key != name
        if reference is None or reference.name != hub.name or not is_another:
            continue

        address = tunnel_address(device)
        if address is not None and address == placement.tunnel_ip:
            raise ApiError(
                409,
                "tunnel_ip_taken",
                f"tunnelIp {address} is that of the Device {device.name}",
            )

        if key is not None and key == device.spec.public_key:
            raise ApiError(
                409,
                "key_taken",
                f"the key is that of the Device {device.name}: each router makes its own",
            )


def check(device: Device, request: Registration) -> str:
    """Return the name of the Device's Hub.

    Raises ApiError if the Device has no Hub (409), is being deleted (503), has
    no tunnel address yet (503), or another one than the request (409).
    """

    if device.metadata.deletion_timestamp is not None:
        raise ApiError(
            503,
            "removal_pending",
            f"the Device {device.name} is being deleted: ask again when it is gone",
        )

    if device.spec.hub_ref is None:
        raise ApiError(
            409,
            "device_without_hub",
            f"the Device {device.name} has no spec.hubRef: it is reached directly",
        )

    wanted = request.tunnel_ip
    address = tunnel_address(device)
    if wanted is not None and address is None:
        raise ApiError(
            503,
            "tunnel_address_pending",
            f"the Device {device.name} has no tunnel address yet: the operator allocates it; try again",
        )

    if wanted is not None and address != wanted:
        raise ApiError(
            409,
            "tunnel_ip_mismatch",
            f"the tunnel address of the Device {device.name} is {address}, not {wanted}",
            tunnelIp=address,
        )

    return device.spec.hub_ref.name


def change(
    device: Device,
    request: Registration,
    placement: Placement,
    now: datetime,
) -> dict[str, Any]:
    """Return what the request changes of the Device, as a merge patch; an
    empty one if nothing.

    Raises ApiError 409 `device_not_ours` if somebody else made the Device:
    only its author changes it (F8).
    """

    spec = _spec_change(device, request, placement)
    annotations = _annotations(request, now, binds="publicKey" in spec)
    if _has(device, annotations):
        annotations = {}

    if not came_over_http(device):
        _refuse_change(device, request, spec, annotations)

    patch: dict[str, Any] = {"spec": spec} if spec else {}
    if annotations:
        patch["metadata"] = {"annotations": annotations}

    return patch


def _spec_change(
    device: Device, request: Registration, placement: Placement
) -> dict[str, Any]:
    """Return the fields of the spec that the request changes, under their wire
    names.
    """

    spec: dict[str, Any] = {}
    key = request.public_key
    if key is not None and key != device.spec.public_key:
        spec["publicKey"] = key

    networks = placement.lan_networks
    if networks is not None and set(networks) != set(device.spec.lan_networks):
        spec["lanNetworks"] = list(networks)

    port = request.login.port if request.login is not None else None
    if port is not None and port != device.spec.api.effective_port:
        spec["api"] = {"port": port}

    return spec


def _refuse_change(
    device: Device,
    request: Registration,
    spec: dict[str, Any],
    annotations: dict[str, str],
) -> None:
    """Raise ApiError 409 for a person's Device of which anything would be
    written.
    """

    fields = [f"spec.{name}" for name in spec]
    if annotations and not spec:
        fields.append(f"annotation {ANNOTATION_PUBLIC_ADDRESS}")

    if request.login is not None:
        fields.append("credentials")

    if request.peer:
        fields.append("Peer")

    if fields:
        raise not_ours(device, " and ".join(fields))


def not_ours(device: Device, what: str) -> ApiError:
    """Return the error for a Device that a person keeps."""
    return ApiError(
        409,
        "device_not_ours",
        f"the Device {device.name} was not made over HTTP, so it is not changed over HTTP: write its {what} "
        "where it is kept",
    )


def peer_change(
    peer: Peer, request: Registration, preshared: str | None
) -> dict[str, Any]:
    """Return the fields of a Peer's spec that the request changes, under their
    wire names; `preshared` is the name of the Secret with its preshared key.
    """

    spec: dict[str, Any] = {}
    wanted = request.peer
    if wanted.endpoint not in (None, peer.spec.endpoint):
        spec["endpoint"] = wanted.endpoint

    if wanted.keepalive not in (None, peer.spec.persistent_keepalive):
        spec["persistentKeepalive"] = wanted.keepalive

    reference = peer.spec.preshared_key_secret_ref
    current = reference.name if reference is not None else None
    if preshared not in (None, current):
        spec["presharedKeySecretRef"] = {"name": preshared}

    return spec


def judge(peer: Peer | None, key: str) -> Literal["applied", "pending"]:
    """Return whether the Hub's interface has the key, and none that the Peer
    had before.

    Raises ApiError 502 `wg_peer_failed` if the Hub refuses it.
    """

    if peer is None or peer.spec.public_key != key:
        return "pending"

    for name in ("Accepted", "Applied"):
        condition = _current_condition(peer, name)
        if condition is None or condition.reason in reasons.ON_ITS_WAY:
            continue

        if condition.status == "False":
            raise ApiError(
                502,
                "wg_peer_failed",
                f"the Peer {peer.name} is not on the hub's interface: {condition.reason}: {condition.message}",
            )

    applied = _current_condition(peer, "Applied")
    if applied is None or applied.status != "True":
        return "pending"

    if peer.status.rotated_public_keys:
        return "pending"

    return "applied" if peer.status.applied_public_key == key else "pending"


def has_peer(peer: Peer | None, device: Device) -> bool:
    """Return whether the Hub's interface has the Device's key."""
    key = device.spec.public_key
    if key is None:
        return False

    try:
        return judge(peer, key) == "applied"
    except ApiError:
        return False


def tunnel_address(device: Device) -> str | None:
    """Return the tunnel address in its usual spelling: the one in the spec,
    else the allocated one.
    """
    address = device.spec.tunnel_address or device.status.tunnel_address
    return normal_host(address) if address else None


def _annotations(
    request: Registration, now: datetime, *, binds: bool
) -> dict[str, str]:
    """Return the notes that a request leaves on a Device."""
    notes: dict[str, str] = {}
    if request.public_ip is not None:
        notes[ANNOTATION_PUBLIC_ADDRESS] = request.public_ip

    if binds:
        notes[ANNOTATION_BOUND_AT] = format_time(now.replace(microsecond=0))

    return notes


def _has(device: Device, annotations: dict[str, str]) -> bool:
    """Return whether a Device has these annotations, or its addresses say the
    same as they do.
    """
    if ANNOTATION_BOUND_AT in annotations:
        return False

    address = annotations.get(ANNOTATION_PUBLIC_ADDRESS)
    recorded = device.metadata.annotations.get(ANNOTATION_PUBLIC_ADDRESS)
    if recorded is None and not came_over_http(device):
        return same_host(address, device.api_address) or same_host(
            address, device.tunnel_address
        )

    return recorded == address


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

"""What is said of a router and its key: from a Device and its Peer to records.
Pure.
"""

from __future__ import annotations

from datetime import datetime

from cerebro.bridge.devices import registration
from cerebro.bridge.devices.answers import (
    BindingRecord,
    DeviceRecord,
    DeviceStatusAnswer,
    MetaRecord,
    MikrotikRecord,
    MikStatus,
    RouterInfo,
)
from cerebro.resources import Condition, Device, Peer, format_time
from cerebro.resources.naming import (
    ANNOTATION_BOUND_AT,
    ANNOTATION_PUBLIC_ADDRESS,
)


def allowed_ips(device: Device) -> list[str]:
    """Return the networks of a Device's peer: its address in the tunnel, and
    what is behind it.
    """
    address = registration.tunnel_address(device)
    own = [registration.host_network(address)] if address else []

    return list(dict.fromkeys([*own, *device.spec.lan_networks]))


def device_status(device: Device, peer: Peer | None) -> DeviceStatusAnswer:
    """Return how a router is. `peer` is the Peer that was made for it."""
    is_there = registration.has_peer(peer, device)
    created = device.metadata.creation_timestamp

    router = MikrotikRecord(
        public_ip=device.metadata.annotations.get(ANNOTATION_PUBLIC_ADDRESS),
        api_port=device.spec.api.effective_port,
    )

    record = DeviceRecord(
        device_id=device.router_id,
        name=device.name,
        status="provisioned" if is_there else "registered",
        public_key=device.spec.public_key,
        tunnel_ip=registration.tunnel_address(device),
        allowed_ips=allowed_ips(device),
        endpoint=peer.spec.endpoint if peer else None,
        keepalive=peer.spec.persistent_keepalive if peer else None,
        created_at=format_time(created) if created else None,
        meta=MetaRecord(mikrotik=router),
    )

    return DeviceStatusAnswer(
        device=record, has_peer=is_there, mik_status=mik_status(device)
    )


def mik_status(device: Device) -> MikStatus:
    """Return how the router's API answered the last time, as the agent's
    conditions of this generation say.
    """

    authenticated = device.status.condition("Authenticated")
    if _is(authenticated, "False"):
        return MikStatus(status="AUTH_FAILED", detail=_text(authenticated))

    reachable = device.status.condition("Reachable")
    if _is(reachable, "False"):
        return MikStatus(status="UNREACHABLE", detail=_text(reachable))

    if _is(reachable, "True") and _is(authenticated, "True"):
        info = RouterInfo(
            identity=device.status.identity,
            version=device.status.version,
            board=device.status.board,
        )

        return MikStatus(status="ONLINE", info=info)

    ready = device.status.condition("Ready")
    return MikStatus(status="UNKNOWN", detail=_text(ready))


def binding(device: Device) -> BindingRecord:
    """Return the binding of a Device that has a key. One that nobody made
    dates from the Device.
    """
    annotations = device.metadata.annotations
    recorded = annotations.get(ANNOTATION_PUBLIC_ADDRESS)

    bound_at = _moment(annotations.get(ANNOTATION_BOUND_AT))
    created = bound_at or device.metadata.creation_timestamp

    return BindingRecord(
        device_id=device.router_id,
        mikrotik_ip=recorded or device.api_address,
        created_at=int(created.timestamp()) if created else None,
    )


def _moment(text: str | None) -> datetime | None:
    """Return the time of an annotation; None for what a person wrote there
    and is none.
    """
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None

    return moment if moment.tzinfo is not None else None


def _is(condition: Condition | None, status: str) -> bool:
    return condition is not None and condition.status == status


def _text(condition: Condition | None) -> str | None:
    return (condition.message or condition.reason) if condition else None

"""The Peer that the operator makes for a Device: its manifest, and how an
existing one differs. Pure.

Only fields that the operator owns are written: a preshared key or an endpoint
that a person added stays.
"""

from __future__ import annotations

from typing import Any

from cerebro.operator.tunnels.addresses import Address
from cerebro.resources import (
    GROUP_VERSION,
    Device,
    Peer,
    Reference,
    label_value,
)
from cerebro.resources.naming import (
    FINALIZER_INTERFACE,
    LABEL_DEVICE,
    LABEL_MANAGED_BY,
    MANAGED_BY_OPERATOR,
)


def peer_manifest(
    device: Device, hub: Reference, name: str, address: Address
) -> dict[str, Any]:
    """Return the manifest of a new Peer, with its finalizer from the start
    (rule E6).
    """
    metadata = {
        "name": name,
        "finalizers": [FINALIZER_INTERFACE],
        **_metadata(device),
    }

    spec = {
        "hubRef": {"name": hub.name},
        "deviceRef": {"name": device.name},
        **_spec(device, address),
    }

    return {"metadata": metadata, "spec": spec}


def peer_patch(peer: Peer, device: Device, address: Address) -> dict[str, Any]:
    """Return a merge patch with what must change of an existing Peer; empty if
    nothing must.
    """

    patch: dict[str, Any] = {}

    spec = _spec(device, address)
    same_key = peer.spec.public_key == spec["publicKey"]
    same_networks = set(peer.spec.allowed_ips) == set(spec["allowedIPs"])
    if not (same_key and same_networks):
        patch["spec"] = spec

    # The owner is another one if the Device was made anew, from a backup for
    # example.
    owned = any(
        owner.uid == device.metadata.uid
        for owner in peer.metadata.owner_references
    )

    if not owned:
        patch["metadata"] = _metadata(device)

    return patch


def _spec(device: Device, address: Address) -> dict[str, Any]:
    """Return the fields of the spec that follow the Device: its key, its
    address and its networks, each once.
    """
    networks = dict.fromkeys([address.network(), *device.spec.lan_networks])

    return {"publicKey": device.spec.public_key, "allowedIPs": list(networks)}


def _metadata(device: Device) -> dict[str, Any]:
    """Return the labels and the owner.

    The owner has no blockOwnerDeletion: the clean-up of a Device waits for no
    Peer (rule E6).
    """
    owner = {
        "apiVersion": GROUP_VERSION,
        "kind": "Device",
        "name": device.name,
        "uid": device.metadata.uid,
        "controller": True,
    }

    labels = {
        LABEL_MANAGED_BY: MANAGED_BY_OPERATOR,
        LABEL_DEVICE: label_value(device.name),
    }

    return {"labels": labels, "ownerReferences": [owner]}

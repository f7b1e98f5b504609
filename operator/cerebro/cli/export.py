"""`cerebro export`: objects as manifests that can be applied again, tunnel addresses and ends of access pinned (E9).

Specs are written as the API server has them, also fields that a newer release added. Statuses, managed fields
and Secrets are left out. What statuses alone know, and what has to be the same again, goes into the specs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import yaml

from cerebro.cli.cluster import Cluster
from cerebro.kube.client.api import Manifest
from cerebro.resources import (
    API_GROUP,
    DEVICE,
    GROUP_VERSION,
    HUB,
    PEER,
    SESSION,
    Hub,
    Kind,
)

_NOTES = ("kubectl.kubernetes.io/",)
"""Prefixes of annotations that are left out: notes of another tool on this very object."""
_REQUESTS = (f"{API_GROUP}/",)
"""Prefixes of those that are requests of one moment. Those of a Session say where it came from, and are kept."""
_ORDER = ("Hub", "Device", "Peer", "Session")
"""In which order kinds are written: what others name comes first."""


async def run(
    cluster: Cluster, tell: Callable[[str], None], *, everything: bool = False
) -> str:
    """Return the Devices of the namespace as YAML; with `everything` Hubs, Peers and Sessions too. Raises KubeError.

    `tell` is called with each sentence about what the YAML lacks.
    """

    devices = await _staying(cluster, DEVICE, tell)
    unpinned = [
        body
        for body in devices
        if "hubRef" in body["spec"] and _address(body) is None
    ]

    if unpinned:
        tell(
            f"without a tunnel address yet, so none is pinned: {_names(unpinned)}"
        )

    if not everything:
        return document(devices)

    hubs = await _staying(cluster, HUB, tell)
    peers = await _staying(cluster, PEER, tell)
    sessions = await _staying(cluster, SESSION, tell)
    lasting = [session for session in sessions if wants_access(session)]

    return document(devices, [*hubs, *peers, *lasting])


async def _staying(
    cluster: Cluster, kind: Kind, tell: Callable[[str], None]
) -> list[Manifest]:
    """Return the objects of a kind that are not being deleted. Raises KubeError."""
    going: list[Manifest] = []
    staying: list[Manifest] = []
    async for body in cluster.api.list_objects(kind, cluster.namespace):
        is_going = body["metadata"].get("deletionTimestamp")
        (going if is_going else staying).append(body)

    if going:
        tell(f"left out, being deleted: {_names(going)}")

    return staying


def document(
    devices: Iterable[Manifest], others: Iterable[Manifest] = ()
) -> str:
    """Return Devices, and objects of other kinds, as one YAML text.

    A comment before them names the Hubs and Secrets that they need and that the text does not have.
    """
    exported = [manifest(body) for body in (*others, *devices)]
    exported.sort(key=lambda body: _ORDER.index(body["kind"]))
    hubs: set[str] = set()
    secrets: set[str] = set()
    for body in exported:
        _references(body["spec"], hubs, secrets)

    for body in exported:
        if body["kind"] == "Hub":
            hub = Hub.model_validate(body)
            hubs.discard(hub.name)
            secrets.add(hub.private_key_secret_name)

    head = [
        "# Objects of Cérebro, with tunnel addresses and ends pinned. They need, and this does not contain:",
        f"#   Hubs: {', '.join(sorted(hubs)) or 'none'}",
        f"#   Secrets: {', '.join(sorted(secrets)) or 'none'}",
    ]

    text: str = yaml.safe_dump_all(
        exported, sort_keys=False, allow_unicode=True, explicit_start=True
    )

    return "\n".join([*head, text if exported else ""])


def manifest(body: Manifest) -> Manifest:
    """Return the manifest that makes an object again: a Device at its tunnel address, access with its end."""
    kind, before = body["kind"], body["metadata"]
    metadata: dict[str, Any] = {
        "name": before["name"],
        "namespace": before["namespace"],
    }

    if before.get("labels"):
        metadata["labels"] = before["labels"]

    not_kept = _NOTES if kind == "Session" else (*_NOTES, *_REQUESTS)
    annotations = {
        name: value
        for name, value in (before.get("annotations") or {}).items()
        if not name.startswith(not_kept)
    }

    if annotations:
        metadata["annotations"] = annotations

    spec = _pinned(body)

    return {
        "apiVersion": GROUP_VERSION,
        "kind": kind,
        "metadata": metadata,
        "spec": dict(sorted(spec.items())),
    }


def wants_access(session: Manifest) -> bool:
    """Return whether a Session has something to do on its router still: access that lasts, or an end to be enforced.

    One that is over stays out: made again, it would be let in again.
    """
    status = session.get("status") or {}
    seen = status.get("observedGeneration") or 0
    if seen < session["metadata"]["generation"]:
        return True  # it was changed since, and may be live again

    return (
        status.get("finished") is not True and status.get("phase") != "Failed"
    )


def _pinned(body: Manifest) -> dict[str, Any]:
    """Return the spec, with what the status alone says: an address that was given, an end that a duration came to."""
    spec = dict(body["spec"])
    address = _address(body)
    if address:
        spec["tunnelAddress"] = address

    end = (body.get("status") or {}).get("expiresAt")
    if end and "duration" in spec:
        del spec["duration"]
        spec["expiresAt"] = end

    return spec


def _address(body: Manifest) -> str | None:
    """Return the tunnel address that a Device asks for, else the one that it was given; None without a Hub."""
    spec = body["spec"]
    if body["kind"] != "Device" or "hubRef" not in spec:
        return None

    status = body.get("status") or {}

    return spec.get("tunnelAddress") or status.get("tunnelAddress")


def _references(value: Any, hubs: set[str], secrets: set[str]) -> None:
    """Add the names that a spec refers to, at whatever depth, to `hubs` and `secrets`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "hubRef":
                hubs.add(inner["name"])
            elif name.lower().endswith("secretref"):
                secrets.add(inner["name"])
            else:
                _references(inner, hubs, secrets)
    elif isinstance(value, list):
        for inner in value:
            _references(inner, hubs, secrets)


def _names(bodies: Iterable[Manifest]) -> str:
    return ", ".join(body["metadata"]["name"] for body in bodies)

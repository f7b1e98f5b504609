"""`cerebro export`: Devices as manifests that can be applied again, tunnel addresses pinned (E9).

Specs are written as the API server has them, also fields that a newer release added. Statuses, managed fields
and Secrets are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import yaml

from cerebro.cli.cluster import Cluster
from cerebro.kube.client.api import Manifest
from cerebro.resources import API_GROUP, DEVICE, GROUP_VERSION

_NOT_KEPT = (f"{API_GROUP}/", "kubectl.kubernetes.io/")
"""Prefixes of annotations that are left out: requests of one moment, or notes of another tool on this very object."""


async def run(cluster: Cluster, tell: Callable[[str], None]) -> str:
    """Return the Devices of the namespace as YAML. Raises KubeError.

    `tell` is called with each sentence about what the YAML lacks.
    """

    going: list[Manifest] = []
    staying: list[Manifest] = []
    async for body in cluster.api.list_objects(DEVICE, cluster.namespace):
        is_going = body["metadata"].get("deletionTimestamp")
        (going if is_going else staying).append(body)

    if going:
        tell(f"left out, being deleted: {_names(going)}")

    unpinned = [
        body
        for body in staying
        if "hubRef" in body["spec"] and _address(body) is None
    ]

    if unpinned:
        tell(
            f"without a tunnel address yet, so none is pinned: {_names(unpinned)}"
        )

    return document(staying)


def document(devices: Iterable[Manifest]) -> str:
    """Return Devices as one YAML text, after a comment that names the Hubs and Secrets which they need."""
    exported = [manifest(body) for body in devices]
    hubs: set[str] = set()
    secrets: set[str] = set()
    for device in exported:
        _references(device["spec"], hubs, secrets)

    head = [
        "# Devices of Cérebro, with their tunnel addresses pinned. They need, and this does not contain:",
        f"#   Hubs: {', '.join(sorted(hubs)) or 'none'}",
        f"#   Secrets: {', '.join(sorted(secrets)) or 'none'}",
    ]

    body: str = yaml.safe_dump_all(
        exported, sort_keys=False, allow_unicode=True, explicit_start=True
    )

    return "\n".join([*head, body if exported else ""])


def manifest(body: Manifest) -> Manifest:
    """Return the manifest that makes the same Device again, at the same tunnel address."""
    before = body["metadata"]
    metadata: dict[str, Any] = {
        "name": before["name"],
        "namespace": before["namespace"],
    }

    if before.get("labels"):
        metadata["labels"] = before["labels"]

    annotations = {
        name: value
        for name, value in (before.get("annotations") or {}).items()
        if not name.startswith(_NOT_KEPT)
    }

    if annotations:
        metadata["annotations"] = annotations

    spec = dict(body["spec"])
    address = _address(body)
    if address:
        spec["tunnelAddress"] = address

    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Device",
        "metadata": metadata,
        "spec": dict(sorted(spec.items())),
    }


def _address(body: Manifest) -> str | None:
    """Return the tunnel address that a Device asks for, else the one that it was given; None without a Hub."""
    spec = body["spec"]
    if "hubRef" not in spec:
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

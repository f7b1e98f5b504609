"""`cerebro export`: Devices as manifests that can be applied again, tunnel addresses pinned (E9).

Specs are given as the API server has them, also fields that a newer release added. Statuses, managed fields and
Secrets are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import yaml

from cerebro.cli.cluster import Cluster
from cerebro.kube.client.api import Manifest
from cerebro.resources import API_GROUP, DEVICE, GROUP_VERSION

_NOT_KEPT = (f"{API_GROUP}/", "kubectl.kubernetes.io/")
"""Annotations of these are requests of one moment, or another tool's notes on this very object."""


async def run(cluster: Cluster, tell: Callable[[str], None]) -> str:
    """Give the Devices of the namespace as YAML; `tell` is told what is not in it. Raises KubeError."""
    found = [body async for body in cluster.api.list_objects(DEVICE, cluster.namespace)]
    going = [body for body in found if body["metadata"].get("deletionTimestamp")]
    staying = [body for body in found if not body["metadata"].get("deletionTimestamp")]
    if going:
        tell(f"left out, being deleted: {_names(going)}")
    unpinned = [body for body in staying if "hubRef" in body["spec"] and _address(body) is None]
    if unpinned:
        tell(f"without a tunnel address yet, so none is pinned: {_names(unpinned)}")
    return document(staying)


def document(devices: Iterable[Manifest]) -> str:
    """Write Devices as one YAML text, after a comment that names the Hubs and Secrets that they need."""
    exported = [manifest(body) for body in devices]
    hubs, secrets = set[str](), set[str]()
    for one in exported:
        _references(one["spec"], hubs, secrets)
    head = [
        "# Devices of Cérebro, with their tunnel addresses pinned. They need, and this does not contain:",
        f"#   Hubs: {', '.join(sorted(hubs)) or 'none'}",
        f"#   Secrets: {', '.join(sorted(secrets)) or 'none'}",
    ]
    body: str = yaml.safe_dump_all(exported, sort_keys=False, allow_unicode=True, explicit_start=True)
    return "\n".join([*head, body if exported else ""])


def manifest(body: Manifest) -> Manifest:
    """Give what makes the same Device again, at the same tunnel address."""
    meta = body["metadata"]
    annotations = {
        name: value
        for name, value in (meta.get("annotations") or {}).items()
        if not name.startswith(_NOT_KEPT)
    }
    kept = {"labels": meta.get("labels"), "annotations": annotations}
    spec = dict(body["spec"])
    if address := _address(body):
        spec["tunnelAddress"] = address
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Device",
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            **{name: value for name, value in kept.items() if value},
        },
        "spec": dict(sorted(spec.items())),
    }


def _address(body: Manifest) -> str | None:
    spec = body["spec"]
    if "hubRef" not in spec:
        return None
    return spec.get("tunnelAddress") or (body.get("status") or {}).get("tunnelAddress")


def _references(value: Any, hubs: set[str], secrets: set[str]) -> None:
    """Collect the names of what a spec refers to."""
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

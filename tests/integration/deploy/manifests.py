"""What `deploy/` comes to, and how a real API server is asked about it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from controlplane.apply import ROOT
from controlplane.server import ControlPlane

OVERLAYS = ("single-node", "bridge-apart", "highly-available", "development")
WORKLOADS = {"DaemonSet", "Deployment"}
ON_THE_HOST = {"cerebro-agent", "cerebro-tunnel"}
"""They need the host's network and NET_ADMIN."""

Manifest = dict[str, Any]


def rendered(plane: ControlPlane, folder: str) -> list[Manifest]:
    text = plane.kubectl("kustomize", str(ROOT / "deploy" / folder))
    return list(yaml.safe_load_all(text))


def moved(manifest: Manifest, namespace: str) -> Manifest:
    """The manifest in another namespace, if it is in one."""
    metadata = dict(manifest["metadata"])
    if "namespace" in metadata:
        metadata["namespace"] = namespace

    return {**manifest, "metadata": metadata}


def dry_run(plane: ControlPlane, *manifests: Manifest) -> None:
    plane.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "-f",
        "-",
        stdin=yaml.safe_dump_all(manifests),
    )


def pod_of(workload: Manifest, namespace: str) -> Manifest:
    template = workload["spec"]["template"]
    name = workload["metadata"]["name"]
    metadata = {**template["metadata"], "name": name, "namespace": namespace}
    spec = {**template["spec"]}
    # A class is known once the manifest with it is applied.
    spec.pop("priorityClassName")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
    }


def check_pods(
    plane: ControlPlane, manifests: list[Manifest], restricted: str
) -> None:
    """Check that a namespace of the level `restricted` takes all pods, and those on the host alone not."""
    workloads = {
        item["metadata"]["name"]: item
        for item in manifests
        if item["kind"] in WORKLOADS
    }
    assert workloads.keys() > ON_THE_HOST
    pods = {name: pod_of(item, restricted) for name, item in workloads.items()}
    on_the_host = [pods.pop(name) for name in sorted(ON_THE_HOST)]
    dry_run(plane, *pods.values())
    for pod in on_the_host:
        with pytest.raises(RuntimeError, match="violates PodSecurity"):
            dry_run(plane, pod)

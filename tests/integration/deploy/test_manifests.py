"""What `deploy/` has for each way to install: a real API server takes it, at the level of security that it names.

Real: kustomize, the API server with its admission of pods. Nothing runs: there is no kubelet.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from controlplane.apply import ROOT
from controlplane.server import ControlPlane

OVERLAYS = ("single-node", "bridge-apart", "highly-available", "development")
LEVEL = "pod-security.kubernetes.io/enforce"
WORKLOADS = {"DaemonSet", "Deployment"}
ON_THE_HOST = {"cerebro-agent", "cerebro-tunnel"}
"""They need the host's network and NET_ADMIN."""

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def restricted(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace that takes only pods of the level `restricted`."""
    name = f"restricted-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    label = f"{LEVEL}=restricted"
    control_plane.kubectl("label", "namespace", name, label)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


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


@pytest.mark.parametrize(
    "folder", ["base", *(f"overlays/{name}" for name in OVERLAYS)]
)
def test_each_way_to_install_is_taken(
    control_plane: ControlPlane, restricted: str, folder: str
) -> None:
    """Strictly: a field that does not exist, or stands twice, is refused."""
    manifests = rendered(control_plane, folder)
    dry_run(control_plane, *(moved(item, restricted) for item in manifests))

    workloads = [item for item in manifests if item["kind"] in WORKLOADS]
    assert {item["metadata"]["name"] for item in workloads} >= ON_THE_HOST
    for workload in workloads:
        pod = pod_of(workload, restricted)
        if workload["metadata"]["name"] not in ON_THE_HOST:
            dry_run(control_plane, pod)
            continue

        with pytest.raises(RuntimeError, match="violates PodSecurity"):
            dry_run(control_plane, pod)


def test_d4_what_runs_on_the_host_has_one_capability_and_no_more(
    control_plane: ControlPlane,
) -> None:
    """No privilege, no escalation, nothing to write but what is mounted."""
    for item in rendered(control_plane, "base"):
        if item["metadata"]["name"] not in ON_THE_HOST:
            continue

        if item["kind"] != "DaemonSet":
            continue

        spec = item["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        security = container["securityContext"]
        assert security["capabilities"] == {
            "drop": ["ALL"],
            "add": ["NET_ADMIN"],
        }
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert "privileged" not in security
        assert spec["securityContext"]["seccompProfile"] == {
            "type": "RuntimeDefault"
        }
        assert "hostPID" not in spec
        assert "hostIPC" not in spec


def test_the_bridge_is_the_same_beside_the_operator_and_apart(
    control_plane: ControlPlane,
) -> None:
    def bridge(folder: str) -> Manifest:
        for item in rendered(control_plane, folder):
            if item["kind"] != "Deployment":
                continue

            for container in item["spec"]["template"]["spec"]["containers"]:
                if container["name"] == "bridge":
                    return dict(container)

        raise AssertionError("no bridge")

    assert bridge("base") == bridge("overlays/bridge-apart")

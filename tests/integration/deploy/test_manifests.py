"""What `deploy/` has for each way to install: a real API server takes it, at the level of security that it names.

Real: kustomize, the API server with its admission of pods. Nothing runs: there is no kubelet.
"""

from __future__ import annotations

import pytest
import yaml

from controlplane.apply import ROOT
from controlplane.server import ControlPlane
from integration.deploy.manifests import (
    ON_THE_HOST,
    OVERLAYS,
    Manifest,
    check_pods,
    dry_run,
    moved,
    rendered,
)


@pytest.mark.parametrize(
    "folder", ["base", *(f"overlays/{name}" for name in OVERLAYS)]
)
def test_each_way_to_install_is_taken(
    control_plane: ControlPlane, restricted: str, folder: str
) -> None:
    """Strictly: a field that does not exist, or stands twice, is refused."""
    manifests = rendered(control_plane, folder)
    dry_run(control_plane, *(moved(item, restricted) for item in manifests))
    check_pods(control_plane, manifests, restricted)


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


def test_d1_the_tunnel_has_no_account(control_plane: ControlPlane) -> None:
    (tunnel,) = (
        item["spec"]["template"]["spec"]
        for item in rendered(control_plane, "base")
        if item["kind"] == "DaemonSet"
        and item["metadata"]["name"] == "cerebro-tunnel"
    )

    assert tunnel["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in tunnel


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


def test_the_example_of_tls_leads_to_the_service(
    control_plane: ControlPlane, restricted: str
) -> None:
    """The Gateway's kinds are not in a plain Kubernetes: of it the names are compared."""
    folder = ROOT / "deploy" / "examples"
    ingress = yaml.safe_load((folder / "ingress.yaml").read_text())
    ingress["metadata"]["namespace"] = restricted
    dry_run(control_plane, ingress)

    (service,) = (
        item
        for item in rendered(control_plane, "base")
        if item["kind"] == "Service"
    )
    name = service["metadata"]["name"]
    (port,) = service["spec"]["ports"]
    route = yaml.safe_load((folder / "gateway.yaml").read_text())
    assert route["spec"]["rules"] == [
        {"backendRefs": [{"name": name, "port": port["port"]}]}
    ]
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    backend = {"name": name, "port": {"name": port["name"]}}
    assert path["backend"] == {"service": backend}

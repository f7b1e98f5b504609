"""What `deploy/argocd` has for people to copy: a real API server takes it, with Argo CD's own CRDs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from argocd.files import FOLDER
from controlplane.apply import ROOT
from controlplane.server import ControlPlane
from integration.deploy.argocd_judge import Manifest, made

pytestmark = pytest.mark.timeout(2400)  # Argo CD's code is built once

EXAMPLES = FOLDER / "examples"
WAVE = "argocd.argoproj.io/sync-wave"
OPTIONS = "argocd.argoproj.io/sync-options"
COMPARE = "argocd.argoproj.io/compare-options"
DEVICE = "relay.cerebro.dev/device"
SITES = sorted(path.name for path in (EXAMPLES / "sites").iterdir())


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    name = f"argocd-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def with_argocd(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane with Argo CD's CRDs."""
    crds = sorted(made().glob("*-crd.yaml"))
    files = [argument for path in crds for argument in ("-f", str(path))]
    control_plane.kubectl("apply", "--server-side", *files)
    for state in ("jsonpath={.status.acceptedNames}", "condition=Established"):
        control_plane.kubectl(
            "wait", f"--for={state}", "--timeout=60s", *files
        )

    yield control_plane
    control_plane.kubectl("delete", "--wait=false", *files)


def documents(path: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(path.read_text()))


def rendered(plane: ControlPlane, folder: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(plane.kubectl("kustomize", str(folder))))


def dry_run(
    plane: ControlPlane, namespace: str, manifests: list[Manifest]
) -> None:
    for manifest in manifests:
        manifest["metadata"]["namespace"] = namespace

    plane.kubectl(
        *("apply", "--server-side", "--dry-run=server"),
        *("--validate=strict", "-f", "-"),
        stdin=yaml.safe_dump_all(manifests),
    )


def annotations_of(manifest: Manifest) -> dict[str, str]:
    return dict(manifest["metadata"].get("annotations", {}))


@pytest.mark.parametrize("name", ["application.yaml", "applicationset.yaml"])
def test_applications_are_taken_under_argo_cds_own_schema(
    with_argocd: ControlPlane, namespace: str, name: str
) -> None:
    dry_run(with_argocd, namespace, documents(EXAMPLES / name))


def test_applications_compare_on_the_server_and_name_folders_that_there_are() -> (
    None
):
    crds, relay = documents(EXAMPLES / "application.yaml")
    (sites,) = documents(EXAMPLES / "applicationset.yaml")
    template = sites["spec"]["template"]

    for application in (crds, relay, template):
        assert annotations_of(application)[COMPARE] == "ServerSideDiff=true"
        options = application["spec"]["syncPolicy"]["syncOptions"]
        assert "ServerSideApply=true" in options

    assert (ROOT / crds["spec"]["source"]["path"]).is_dir()
    assert crds["spec"]["syncPolicy"]["automated"]["prune"] is False
    assert "finalizers" not in crds["metadata"]
    assert sites["spec"]["syncPolicy"]["preserveResourcesOnDeletion"] is True


@pytest.mark.parametrize("site", SITES)
def test_a_site_is_taken_in_the_order_of_its_waves(
    control_plane: ControlPlane, namespace: str, site: str
) -> None:
    """Its Secrets are those that the two operators for secrets would make."""
    manifests = rendered(control_plane, EXAMPLES / "sites" / site)
    sealed = documents(EXAMPLES / "sealed-secret.yaml")
    waves: dict[str, set[int]] = {}
    for manifest in [*manifests, *sealed]:
        wave = int(annotations_of(manifest).get(WAVE, "0"))
        waves.setdefault(manifest["kind"], set()).add(wave)

    assert waves == {
        "ExternalSecret": {-2},
        "SealedSecret": {-2},
        "Hub": {-1},
        "Device": {0},
        "Session": {0},
    }

    ours = [item for item in manifests if item["kind"] != "ExternalSecret"]
    dry_run(control_plane, namespace, ours)

    passwords = [item for item in manifests if item not in ours]
    templates = [item["spec"]["target"]["template"] for item in passwords]
    templates += [item["spec"]["template"] for item in sealed]
    devices = {
        item["metadata"]["name"]: item["spec"]["api"]["credentialsSecretRef"]
        for item in ours
        if item["kind"] == "Device"
    }
    assert len(templates) == 2
    for template in templates:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": template["type"],
            "metadata": {**template["metadata"], "name": "made"},
            "stringData": {"username": "cerebro", "password": "secret"},
        }
        assert secret["type"] == "relay.cerebro.dev/router"
        assert annotations_of(secret)[DEVICE] in devices
        dry_run(control_plane, namespace, [secret])

    assert {item["name"] for item in devices.values()} == {
        item["spec"]["target"]["name"] for item in passwords
    }


@pytest.mark.parametrize("site", SITES)
def test_e13_nothing_that_people_depend_on_is_pruned_without_a_word(
    control_plane: ControlPlane, site: str
) -> None:
    protected = {
        "Hub": "Prune=confirm,Delete=confirm",
        "Device": "Prune=confirm,Delete=confirm",
        "Session": "Prune=false,Delete=false",
    }
    for manifest in rendered(control_plane, EXAMPLES / "sites" / site):
        if manifest["kind"] in protected:
            expected = protected[manifest["kind"]]
            assert annotations_of(manifest)[OPTIONS] == expected


def test_the_scripts_join_an_argo_cd_that_kustomize_installs(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    theirs = config_map()
    (tmp_path / "install.yaml").write_text(yaml.safe_dump(theirs))
    kustomization = {
        "namespace": "argocd",
        "resources": ["install.yaml"],
        "components": [os.path.relpath(FOLDER, tmp_path)],
    }
    path = tmp_path / "kustomization.yaml"
    path.write_text(yaml.safe_dump(kustomization))

    (result,) = rendered(control_plane, tmp_path)

    (ours,) = documents(FOLDER / "argocd-cm.yaml")
    assert result["data"] == theirs["data"] | ours["data"]


def test_the_scripts_join_an_argo_cd_that_runs(
    control_plane: ControlPlane, namespace: str
) -> None:
    theirs = config_map()
    place = ("--namespace", namespace)
    control_plane.kubectl(
        *("apply", *place, "-f", "-"), stdin=yaml.safe_dump(theirs)
    )

    path = FOLDER / "argocd-cm.yaml"
    control_plane.kubectl(
        *("patch", "configmap", "argocd-cm", *place),
        *("--type=merge", f"--patch-file={path}"),
    )

    text = control_plane.kubectl(
        "get", "configmap", "argocd-cm", *place, "-o", "yaml"
    )
    (ours,) = documents(FOLDER / "argocd-cm.yaml")
    assert yaml.safe_load(text)["data"] == theirs["data"] | ours["data"]


def config_map() -> Manifest:
    """Argo CD's ConfigMap with a setting of its owner."""
    labels = {
        "app.kubernetes.io/name": "argocd-cm",
        "app.kubernetes.io/part-of": "argocd",
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "labels": labels},
        "data": {"url": "https://argocd.example.net"},
    }

"""The Helm chart: the same objects as kustomize, values that are checked, notes that say what is left to do.

Real: Helm, kustomize, the API server with its admission. Nothing runs: there is no kubelet.
"""

from __future__ import annotations

import os
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.apply import CRDS, POLICIES, ROOT
from controlplane.server import ControlPlane
from helm import copies
from helm.binaries import run
from integration.deploy.manifests import (
    OVERLAYS,
    Manifest,
    check_pods,
    dry_run,
    moved,
    rendered,
)

pytestmark = pytest.mark.usefixtures("with_helm")

CHART = str(copies.CHART)
IMAGE = ("registry.example/cerebro", "0.1.0")
SECRETS = {"cerebro-bridge", "cerebro-metrics"}
HELMS_OWN = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "checksum/settings",
    "helm.sh/chart",
    "helm.sh/resource-policy",
}
"""Labels and annotations that kustomize has no need of."""


@pytest.fixture
def kubeconfig(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Helm speaks with the API server as administrator."""
    monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig))


def values(overlay: str) -> list[str]:
    return ["--values", str(copies.CHART / "ci" / f"{overlay}.yaml")]


def charted(*words: str, namespace: str = "cerebro") -> list[Manifest]:
    text = run("template", "cerebro", CHART, "--namespace", namespace, *words)
    return [item for item in yaml.safe_load_all(text) if item]


def only(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {
        item["metadata"]["name"]: item
        for item in manifests
        if item["kind"] == kind
    }


def customized(plane: ControlPlane, overlay: str, folder: Path) -> Any:
    """The overlay with an image, as the install page says to do it."""
    source = os.path.relpath(ROOT / "deploy" / "overlays" / overlay, folder)
    name, tag = IMAGE
    image = {"name": "cerebro", "newName": name, "newTag": tag}
    text = yaml.safe_dump({"resources": [source], "images": [image]})
    (folder / "kustomization.yaml").write_text(text)
    return yaml.safe_load_all(plane.kubectl("kustomize", str(folder)))


def plain(value: Any) -> Any:
    """Without what is Helm's own, and without kustomize's endings of ConfigMaps' names."""
    if isinstance(value, list):
        return [plain(item) for item in value]

    if not isinstance(value, dict):
        return value

    kept = {key: plain(item) for key, item in value.items()}
    for field in ("labels", "annotations"):
        if isinstance(kept.get(field), dict):
            own = {k: v for k, v in kept[field].items() if k not in HELMS_OWN}
            kept[field] = own
            if not own:
                del kept[field]

    if isinstance(kept.get("configMapRef"), dict):
        kept["configMapRef"]["name"] = unhashed(kept["configMapRef"]["name"])

    return kept


def unhashed(name: str) -> str:
    return re.sub(r"-[0-9a-z]{10}$", "", name)


def by_name(manifests: list[Manifest]) -> dict[tuple[str, str], Manifest]:
    found = {}
    for item in map(plain, manifests):
        kind, metadata = item["kind"], item["metadata"]
        if kind == "ConfigMap":
            metadata["name"] = unhashed(metadata["name"])
        elif kind in POLICIES:
            # Kustomize does not know that they are the whole cluster's; the API server does.
            metadata.pop("namespace", None)

        assert (kind, metadata["name"]) not in found, "it stands twice"
        found[kind, metadata["name"]] = item

    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_chart_has_the_same_objects_as_each_overlay(
    control_plane: ControlPlane, tmp_path: Path, overlay: str
) -> None:
    """But the namespace, which Helm needs before: the notes say what it has to be like."""
    wanted = by_name(list(customized(control_plane, overlay, tmp_path)))
    del wanted["Namespace", "cerebro"]
    manifests = charted(*values(overlay), "--set", "crds.enabled=false")

    have = by_name(manifests)

    assert have.keys() == wanted.keys()
    for name, item in wanted.items():
        assert have[name] == item, name


def test_the_chart_has_the_same_monitoring_as_kustomize(
    control_plane: ControlPlane,
) -> None:
    without = ("--set", "crds.enabled=false")
    plain_ones = by_name(charted(*values("single-node"), *without))
    all_of_it = "monitoring.enabled=true,monitoring.dashboard=true"
    manifests = charted(*values("single-node"), *without, "--set", all_of_it)

    more = {
        name: item
        for name, item in by_name(manifests).items()
        if name not in plain_ones
    }

    assert more == by_name(rendered(control_plane, "monitoring"))


def test_monitoring_has_the_labels_that_a_prometheus_looks_for() -> None:
    labels = "monitoring.labels.release=stack"
    all_of_it = "monitoring.enabled=true,monitoring.dashboard=true"
    secrets = "agent.metricsSecretName=a,bridge.secretName=b"
    manifests = charted(
        *values("single-node"), "--set", f"{all_of_it},{labels},{secrets}"
    )

    labelled = {
        item["kind"]
        for item in manifests
        if item["metadata"].get("labels", {}).get("release") == "stack"
    }
    monitors = only(manifests, "PodMonitor").values()
    endpoints = [item["spec"]["podMetricsEndpoints"][0] for item in monitors]
    asked = {
        endpoint["authorization"]["credentials"]["name"]
        for endpoint in endpoints
        if "authorization" in endpoint
    }

    assert labelled == {"PodMonitor", "PrometheusRule", "ConfigMap"}
    assert asked == {"a", "b"}


def test_the_chart_brings_the_crds_and_keeps_them() -> None:
    """As templates: Helm never upgrades what is in a chart's `crds/`."""
    wanted = {}
    for file in CRDS.glob("*.yaml"):
        crd = yaml.safe_load(file.read_text())
        wanted[crd["metadata"]["name"]] = crd

    crds = only(charted(*values("single-node")), "CustomResourceDefinition")
    kept = {
        item["metadata"]["annotations"]["helm.sh/resource-policy"]
        for item in crds.values()
    }

    assert plain(crds) == wanted
    assert kept == {"keep"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_way_to_install_by_the_chart_is_taken(
    control_plane: ControlPlane, restricted: str, overlay: str
) -> None:
    """Strictly: a field that does not exist, or stands twice, is refused."""
    manifests = charted(*values(overlay))
    dry_run(control_plane, *(moved(item, restricted) for item in manifests))
    check_pods(control_plane, manifests, restricted)


@pytest.mark.parametrize("overlay", ["", *OVERLAYS])
def test_lint_is_content(overlay: str) -> None:
    told = run(
        "lint", "--strict", CHART, *(values(overlay) if overlay else ())
    )
    assert "0 chart(s) failed" in told


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("bridge.replica=2", r"'/bridge'.*'replica' not allowed"),
        ("bridge.replicas=0", r"'/bridge/replicas'.*minimum"),
        ("bridge.replicas=many", r"'/bridge/replicas'.*want integer"),
        ("bridge.store.kind=sqlite", r"'/bridge/store/kind'.*'emptyDir'"),
        ("bridge.store.size=much", r"'/bridge/store/size'.*pattern"),
        ("bridge.settings.relay-token=x", r"'/bridge/settings'.*relay-token"),
        ("image.pullPolicy=never", r"'/image/pullPolicy'.*'Never'"),
        ("image.repository=", "image.repository must be set"),
        ("agent.resources.memory=1Gi", "'/agent/resources'.*'memory'"),
        ("agent.metricsSecretName=A", "'/agent/metricsSecretName'.*pattern"),
        ("monitoring.labels.release=1", r"'/monitoring/labels/release'"),
        ("crds.keep=never", "'/crds/keep'.*want boolean"),
        ("operators=2", "'operators' not allowed"),
        ("bridge.replicas=2", "bridge.replicas must be 1 where bridge.apart"),
        ("operator.replicas=2", "bridge.apart must be true where operator."),
        (
            "bridge.replicas=2,bridge.apart=true",
            "bridge.store.kind must be redis where bridge.replicas",
        ),
    ],
)
def test_wrong_values_are_refused_by_the_name_of_the_field(
    wrong: str, message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        charted(*values("single-node"), "--set", wrong)


def test_settings_reach_their_process_as_they_are_written(
    tmp_path: Path,
) -> None:
    """Helm takes every number to be a fraction, and writes large ones as such."""
    written = {
        "CEREBRO_AUDIT_FILE_BYTES": 104857600,
        "CEREBRO_DRAIN_TIMEOUT": 0.5,
        "CEREBRO_RECORDS_TLS": False,
        "CEREBRO_INSTALLATION": '7 "a"',
    }
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump({"bridge": {"settings": written}}))

    manifests = charted(*values("single-node"), "--values", str(file))

    assert only(manifests, "ConfigMap")["cerebro-bridge"]["data"] == {
        "CEREBRO_AUDIT_FILE_BYTES": "104857600",
        "CEREBRO_DRAIN_TIMEOUT": "0.5",
        "CEREBRO_RECORDS_TLS": "false",
        "CEREBRO_INSTALLATION": '7 "a"',
    }


def test_other_settings_replace_the_pods_of_their_process_alone() -> None:
    def templates(*words: str) -> dict[str, Any]:
        manifests = charted(*values("bridge-apart"), *words)
        workloads = only(manifests, "Deployment") | only(
            manifests, "DaemonSet"
        )
        return {name: w["spec"]["template"] for name, w in workloads.items()}

    before = templates()
    after = templates("--set", "agent.settings.CEREBRO_LOG_LEVEL=DEBUG")

    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"cerebro-agent"}


def test_a_second_installation_leaves_what_the_cluster_shares() -> None:
    without = ("--set", "crds.enabled=false,clusterWide.enabled=false")
    manifests = charted(*values("single-node"), *without, namespace="second")

    assert {item["metadata"]["namespace"] for item in manifests} == {"second"}
    for binding in only(manifests, "RoleBinding").values():
        assert binding["subjects"][0]["namespace"] == "second"


def test_a_registry_with_a_password_is_asked_with_its_secret() -> None:
    manifests = charted(
        *values("bridge-apart"), "--set", "image.pullSecrets={registry}"
    )
    workloads = only(manifests, "Deployment") | only(manifests, "DaemonSet")

    assert len(workloads) == 4
    for workload in workloads.values():
        spec = workload["spec"]["template"]["spec"]
        assert spec["imagePullSecrets"] == [{"name": "registry"}]


def notes(namespace: str) -> str:
    words = ("install", "cerebro", CHART, "--namespace", namespace)
    # What the cluster has already is another's: this is about the notes.
    own = ("--set", "crds.enabled=false", "--take-ownership")
    told = run(*words, *values("single-node"), *own, "--dry-run=server")
    return told.partition("NOTES:")[2]


@pytest.mark.usefixtures("kubeconfig")
def test_the_notes_say_what_is_left_to_do(
    control_plane: ControlPlane, restricted: str
) -> None:
    first = notes(restricted)

    for secret in SECRETS:
        assert f"create secret generic {secret} " in first
    assert "kubectl label node NODE relay.cerebro.dev/hub=" in first
    (namespace,) = (
        item
        for item in rendered(control_plane, "base")
        if item["kind"] == "Namespace"
    )
    labels = [f"{k}={v}" for k, v in namespace["metadata"]["labels"].items()]
    shown = [label for label in labels if label in first]
    assert shown == [label for label in labels if "part-of" not in label]

    for secret in SECRETS:
        words = ("create", "secret", "generic", secret)
        control_plane.kubectl("--namespace", restricted, *words)
    control_plane.kubectl("label", "--overwrite", "ns", restricted, *labels)
    second = notes(restricted)

    assert "create secret" not in second
    assert "label --overwrite" not in second
    assert "rollout status deployment/cerebro-operator" in second


def test_the_chart_is_packed_whole(tmp_path: Path) -> None:
    """One archive, which a registry of images takes; no link in it."""
    run("package", CHART, "--destination", str(tmp_path))
    version = yaml.safe_load((copies.CHART / "Chart.yaml").read_text())[
        "version"
    ]
    with tarfile.open(tmp_path / f"cerebro-{version}.tgz") as archive:
        members = archive.getmembers()

    names = {member.name for member in members}
    assert all(member.isfile() for member in members)
    assert {
        f"cerebro/files/crds/{file.name}" for file in CRDS.glob("*.yaml")
    } <= names
    assert not any("/ci/" in name for name in names)

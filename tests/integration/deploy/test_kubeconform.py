"""Every manifest that people apply or copy, judged by kubeconform: what somebody's pipeline would say of it.

Schemas are made of what a real API server serves, our CRDs among it. Texts are judged as they are written, so that a
key that stands twice is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.apply import ROOT
from controlplane.server import ControlPlane
from helm import binaries, copies
from integration.deploy.kubeconform_judge import judged, write_schemas
from integration.deploy.manifests import OVERLAYS

pytestmark = pytest.mark.timeout(1200)  # kubeconform is built once

DEPLOY = ROOT / "deploy"
SITES = sorted((DEPLOY / "argocd" / "examples" / "sites").iterdir())
CUSTOMIZED = [
    *(DEPLOY / name for name in ("base", "crds", "monitoring")),
    *(DEPLOY / "overlays" / name for name in OVERLAYS),
    *SITES,
]
WRITTEN = [
    *sorted((ROOT / "docs" / "examples").glob("*.yaml")),
    *sorted((DEPLOY / "examples").glob("*.yaml")),
    *sorted((DEPLOY / "argocd" / "examples").glob("*.yaml")),
    DEPLOY / "argocd" / "argocd-cm.yaml",
]
MONITORED = "monitoring.enabled=true,monitoring.dashboard=true"
NOT_OURS = {
    "argoproj.io/v1alpha1/Application",
    "argoproj.io/v1alpha1/ApplicationSet",
    "bitnami.com/v1alpha1/SealedSecret",
    "external-secrets.io/v1/ExternalSecret",
    "gateway.networking.k8s.io/v1/HTTPRoute",
    "monitoring.coreos.com/v1/PodMonitor",
    "monitoring.coreos.com/v1/PrometheusRule",
}
"""Kinds whose CRDs others have: no schema for them is here. Nothing else is skipped."""

DEVICE = (ROOT / "docs" / "examples" / "device.yaml").read_text()
TUNNEL = (DEPLOY / "base" / "tunnel.yaml").read_text()


@pytest.fixture(scope="module")
def schemas(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    write_schemas(control_plane, folder)
    return folder


def charts() -> Iterator[str]:
    """Yield what Helm makes of each of the chart's example values, with all that can be switched on."""
    files = sorted((copies.CHART / "ci").glob("*.yaml"))
    assert len(files) >= len(OVERLAYS)
    for values in files:
        words = ("template", "cerebro", str(copies.CHART))
        place = ("--namespace", "cerebro", "--values", str(values))
        yield binaries.run(*words, *place, "--set", MONITORED)


@pytest.mark.usefixtures("with_helm")
def test_every_manifest_is_valid(
    control_plane: ControlPlane, schemas: Path
) -> None:
    texts = [path.read_text() for path in WRITTEN]
    for folder in CUSTOMIZED:
        texts.append(control_plane.kubectl("kustomize", str(folder)))

    texts += charts()

    verdicts = judged(schemas, texts, NOT_OURS)

    refused = [
        verdict
        for verdict in verdicts
        if verdict.state not in ("Valid", "Skipped")
    ]
    assert refused == []
    skipped = {item.kind for item in verdicts if item.state == "Skipped"}
    assert skipped == NOT_OURS
    valid = {item.kind.rpartition("/")[2] for item in verdicts} - skipped
    assert valid >= {
        *("Hub", "Peer", "Device", "Session", "DeviceCommand"),
        *("CustomResourceDefinition", "ValidatingAdmissionPolicy"),
        *("DaemonSet", "Deployment", "Role", "PodDisruptionBudget"),
    }


@pytest.mark.parametrize(
    ("text", "right", "wrong", "message"),
    [
        (DEVICE, "    guard: Router", "    guards: Router", "'guards' not"),
        (DEVICE, "    guard: Router", "    guard: Roter", "'Router'"),
        (DEVICE, "manageConfig: true", "manageConfig: 2", "want boolean"),
        (DEVICE, "  api:\n", "  other:\n", "missing property 'api'"),
        (DEVICE, "kind: Device\n", "kind: Router\n", "could not find schema"),
        (DEVICE, "  hubRef:", "  routerID: R\n  hubRef:", "already set in"),
        (TUNNEL, "hostNetwork: true", "hostNetwork: on the node", "boolean"),
        (TUNNEL, "hostNetwork:", "hostNet:", "'hostNet' not allowed"),
        (TUNNEL, "  selector:\n", "  select:\n", "'selector'"),
    ],
)
def test_a_wrong_manifest_is_refused(
    schemas: Path, text: str, right: str, wrong: str, message: str
) -> None:
    assert right in text
    verdicts = judged(schemas, [text.replace(right, wrong, 1)])

    refused = [item for item in verdicts if item.state != "Valid"]
    assert len(refused) == 1
    assert message in refused[0].message

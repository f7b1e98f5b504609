"""Applies the CRDs and the accounts and rights of `deploy/`, so that processes
run with those alone.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from controlplane.server import ControlPlane

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "crds"
DEPLOY = ROOT / "deploy" / "base"
FIELD_MANAGER = "cerebro-local"
POLICIES = frozenset(
    {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
)
CLUSTER_WIDE = POLICIES | {"ClusterRole", "ClusterRoleBinding"}
RIGHTS = CLUSTER_WIDE | {"ServiceAccount", "Role", "RoleBinding"}


def apply_crds(plane: ControlPlane, folder: Path = CRDS) -> None:
    """Apply the CRDs (again does no harm) and wait until the API server serves
    them.
    """
    _apply(plane, "-f", str(folder))
    names = [document["metadata"]["name"] for document in _documents(folder)]
    plane.kubectl(
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        *(f"crd/{name}" for name in names),
    )


def apply_rights(
    plane: ControlPlane, namespace: str, folder: Path = DEPLOY
) -> list[str]:
    """Apply the service accounts, roles, bindings and policies of `deploy/` in
    `namespace`, which is made if needed.

    Returns the names of the service accounts.
    """
    made = yaml.safe_load_all(plane.kubectl("kustomize", str(folder)))
    rights = rights_in(namespace, made)
    own = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace},
    }
    _apply(plane, "-f", "-", stdin=yaml.safe_dump_all([own, *rights]))
    return [
        right["metadata"]["name"]
        for right in rights
        if right["kind"] == "ServiceAccount"
    ]


def rights_in(
    namespace: str, documents: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Of these manifests the ones about rights, moved to `namespace`.

    Cluster-wide role bindings get the namespace into their name: those of two
    namespaces live side by side. Policies of admission are the same for all.
    """
    moved: list[dict[str, Any]] = []
    for document in documents:
        if document["kind"] not in RIGHTS:
            continue
        right = {**document, "metadata": dict(document["metadata"])}
        if right["kind"] in CLUSTER_WIDE:
            if right["kind"] == "ClusterRoleBinding":
                right["metadata"]["name"] += f"-{namespace}"
        else:
            right["metadata"]["namespace"] = namespace
        if "subjects" in right:
            right["subjects"] = [
                _subject_in(namespace, subject)
                for subject in right["subjects"]
            ]
        moved.append(right)
    return moved


def _subject_in(namespace: str, subject: dict[str, Any]) -> dict[str, Any]:
    return (
        {**subject, "namespace": namespace}
        if subject["kind"] == "ServiceAccount"
        else subject
    )


def _apply(
    plane: ControlPlane, *source: str, stdin: str | None = None
) -> None:
    how = (
        "apply",
        "--server-side",
        "--force-conflicts",
        f"--field-manager={FIELD_MANAGER}",
    )
    plane.kubectl(*how, *source, stdin=stdin)


def _documents(folder: Path) -> list[dict[str, Any]]:
    return [
        document
        for path in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if document
    ]

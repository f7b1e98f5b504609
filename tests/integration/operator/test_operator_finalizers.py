"""Ways out for objects that no agent cleans up: those that our models cannot read (B9), and those that go with their
namespace (E13).

A newer version of a CRD is played by adding a value to an enum of the schema that the API server holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane import apply
from integration.operator.conftest import Cluster, OperatorProcess

API = "relay.cerebro.dev/v1alpha1"
INTERFACE, CLEANUP = "relay.cerebro.dev/interface", "relay.cerebro.dev/cleanup"
FORCE = "relay.cerebro.dev/force-finalize=true"
KEY = "A" * 43 + "="
POLICIES = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/deletionPolicy/enum/-"
QUIET = {"CEREBRO_AGENT_LOST_AFTER": "600"}


@pytest.fixture
def _newer_schema(cluster: Cluster) -> Iterator[None]:
    """Let Hubs have the deletionPolicy Archive for one test."""
    change = json.dumps([{"op": "add", "path": POLICIES, "value": "Archive"}])
    cluster.kubectl(
        "patch", "crd", "hubs.relay.cerebro.dev", "--type=json", "-p", change
    )
    yield
    apply.apply_crds(cluster.plane)


@pytest.fixture
def elsewhere(cluster: Cluster) -> Iterator[Cluster]:
    """Another namespace, in which the operator has its rights by a binding that does not go with it."""
    role = json.loads(
        cluster.kubectl("get", "role", "cerebro-operator", "-o", "json")
    )
    name = f"{cluster.namespace}-elsewhere"
    rbac = "rbac.authorization.k8s.io"
    account = {
        "kind": "ServiceAccount",
        "name": "cerebro-operator",
        "namespace": cluster.namespace,
    }
    made = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        _cluster_wide("ClusterRole", name, rules=role["rules"]),
        _cluster_wide(
            "ClusterRoleBinding",
            name,
            subjects=[account],
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": name},
        ),
    ]
    cluster.apply({"apiVersion": "v1", "kind": "List", "items": made})
    yield Cluster(cluster.plane, name)
    cluster.kubectl("delete", "clusterrole,clusterrolebinding", name)
    cluster.kubectl(
        "delete", "namespace", name, "--ignore-not-found", "--wait=false"
    )


def _cluster_wide(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        **fields,
    }


def hub(name: str, interface: str, policy: str = "Cleanup") -> dict[str, Any]:
    spec = {
        "nodeName": "n",
        "addresses": ["10.90.0.1/24"],
        "interface": interface,
        "deletionPolicy": policy,
    }
    return {
        "apiVersion": API,
        "kind": "Hub",
        "metadata": {"name": name},
        "spec": spec,
    }


def peer(name: str, hub: str) -> dict[str, Any]:
    spec = {
        "hubRef": {"name": hub},
        "publicKey": KEY,
        "allowedIPs": ["10.90.0.2/32"],
    }
    return {
        "apiVersion": API,
        "kind": "Peer",
        "metadata": {"name": name},
        "spec": spec,
    }


def finalizers(cluster: Cluster, kind: str, name: str) -> list[str]:
    return list(
        cluster.get(kind, name).get("metadata", {}).get("finalizers", [])
    )


def until_has(cluster: Cluster, kind: str, name: str, finalizer: str) -> None:
    cluster.until(
        lambda: finalizers(cluster, kind, name) == [finalizer],
        f"the finalizer of {name}",
    )


def until_going(cluster: Cluster, kind: str, name: str) -> None:
    cluster.until(lambda: is_going(cluster, kind, name), f"{name} to go")


def until_unreadable(cluster: Cluster, name: str) -> None:
    """Change a Hub as soon as the API server serves the newer schema."""

    def changed() -> bool:
        try:
            cluster.apply(hub(name, name, "Archive"))
        except RuntimeError as error:
            if "Unsupported value" not in str(error):
                raise
            return False
        return True

    cluster.until(changed, "the newer schema is served")


def is_going(cluster: Cluster, kind: str, name: str) -> bool:
    return "deletionTimestamp" in cluster.get(kind, name).get("metadata", {})


@pytest.mark.usefixtures("_newer_schema")
def test_b9_what_cannot_be_read_is_let_go_by_annotation_and_by_time_limit(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    for name in ("forced", "late"):
        cluster.apply(hub(name, name))
    operator.start(**QUIET)
    for name in ("forced", "late"):
        until_has(cluster, "hub", name, CLEANUP)
        until_unreadable(cluster, name)
    cluster.kubectl("delete", "hub", "forced", "late", "--wait=false")
    cluster.kubectl("annotate", "hub", "forced", FORCE)
    cluster.until(
        lambda: not cluster.get("hub", "forced"), "let go by its annotation"
    )
    assert finalizers(cluster, "hub", "late") == [CLEANUP]
    operator.end()
    operator.start(**QUIET, CEREBRO_FINALIZER_TIMEOUT="3")
    cluster.until(
        lambda: not cluster.get("hub", "late"), "let go after the time limit"
    )
    cluster.until(
        lambda: (
            {"FinalizerForced", "FinalizerTimeout"}
            <= set(
                cluster.kubectl(
                    "get", "events", "-o", "jsonpath={.items[*].reason}"
                ).split()
            )
        ),
        "Events",
    )


def test_e13_objects_of_a_namespace_that_goes_are_let_go_by_annotation_and_by_time_limit(
    elsewhere: Cluster, operator: OperatorProcess
) -> None:
    elsewhere.apply(hub("hub", "wg0"))
    for name in ("forced", "late"):
        elsewhere.apply(peer(name, "hub"))
    operator.start(**QUIET, CEREBRO_NAMESPACES=elsewhere.namespace)
    until_has(elsewhere, "hub", "hub", CLEANUP)
    for name in ("forced", "late"):
        until_has(elsewhere, "peer", name, INTERFACE)
    elsewhere.kubectl(
        "delete", "namespace", elsewhere.namespace, "--wait=false"
    )
    for kind, name in (("peer", "forced"), ("peer", "late"), ("hub", "hub")):
        until_going(elsewhere, kind, name)
    elsewhere.until(
        lambda: operator.says("late was deleted with its CRD or namespace"),
        "a deletion that is held",
    )
    elsewhere.kubectl("annotate", "peer", "forced", FORCE)
    elsewhere.until(
        lambda: not elsewhere.get("peer", "forced"), "let go by its annotation"
    )
    assert finalizers(elsewhere, "peer", "late") == [INTERFACE]
    assert finalizers(elsewhere, "hub", "hub") == [CLEANUP]
    operator.end()
    operator.start(
        **QUIET,
        CEREBRO_NAMESPACES=elsewhere.namespace,
        CEREBRO_FINALIZER_TIMEOUT="3",
    )
    name = elsewhere.namespace
    elsewhere.until(
        lambda: not elsewhere.get("namespace", name), "the namespace is gone"
    )

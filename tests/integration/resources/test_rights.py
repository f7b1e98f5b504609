"""D1: each account may do what it must and nothing else, asked of the real API server with its own token."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from controlplane import apply
from controlplane.server import ControlPlane
from integration.resources.accounts import OVERLAY, SECRET, As
from rights.granted import AGENT, BRIDGE, LEASES, OPERATOR, rights

APART = "test-bridge-apart"

SESSION = {
    "apiVersion": "relay.cerebro.dev/v1alpha1",
    "kind": "Session",
    "metadata": {"name": "phone"},
    "spec": {
        "deviceRef": {"name": "router-17"},
        "client": {"macAddress": "AA:BB:CC:DD:EE:FF"},
    },
}


@pytest.fixture(scope="module")
def apart_namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace with the rights of the overlay in which the bridge stands apart."""
    apply.apply_rights(control_plane, APART, OVERLAY)
    yield APART
    control_plane.kubectl("delete", "namespace", APART, "--wait=false")


def test_d1_the_rights_of_agent_and_operator_are_exactly_these(
    control_plane: ControlPlane, shared_namespace: str
) -> None:
    """Case S3: no account has a right that it does not use."""
    agent = As(control_plane, "cerebro-agent", shared_namespace)
    operator = As(control_plane, "cerebro-operator", shared_namespace)

    assert agent.rights() == rights(AGENT)
    assert operator.rights() == rights([*OPERATOR, *BRIDGE])


def test_d1_a_bridge_apart_takes_its_rights_from_the_operator(
    control_plane: ControlPlane, apart_namespace: str
) -> None:
    bridge = As(control_plane, "cerebro-bridge", apart_namespace)
    operator = As(control_plane, "cerebro-operator", apart_namespace)
    agent = As(control_plane, "cerebro-agent", apart_namespace)

    assert bridge.rights() == rights(BRIDGE)
    assert operator.rights() == rights(OPERATOR)
    assert agent.rights() == rights(AGENT)


def test_d1_a_bridge_apart_reads_no_lease_but_its_own(
    control_plane: ControlPlane, apart_namespace: str
) -> None:
    bridge = As(control_plane, "cerebro-bridge", apart_namespace)
    leases = f"/apis/{LEASES}/v1/namespaces/{apart_namespace}/leases"
    for name, status in (
        ("cerebro-bridge-poller", 404),
        ("cerebro-bridge-recorder", 404),
        ("cerebro-operator", 403),
        ("cerebro-direct", 403),
    ):
        assert bridge.client.get(f"{leases}/{name}").status_code == status


@pytest.mark.parametrize(
    "folder", [apply.DEPLOY, OVERLAY], ids=["base", "bridge-apart"]
)
def test_nothing_is_granted_over_the_whole_cluster(
    folder: Path, control_plane: ControlPlane
) -> None:
    documents = list(
        yaml.safe_load_all(control_plane.kubectl("kustomize", str(folder)))
    )
    assert {"Role", "RoleBinding", "ServiceAccount"} <= {
        document["kind"] for document in documents
    }
    assert not [
        document
        for document in documents
        if document["kind"].startswith("Cluster")
    ]
    assert {document["kind"] for document in documents} >= apply.POLICIES
    granted = [
        rule for document in documents for rule in document.get("rules", [])
    ]
    assert not [
        rule
        for rule in granted
        if "*" in rule["verbs"] + rule["resources"] + rule["apiGroups"]
    ]


def test_d1_the_agent_writes_statuses_and_reads_secrets_by_name(
    control_plane: ControlPlane, namespace: str
) -> None:
    operator = As(control_plane, "cerebro-operator", namespace)
    assert operator.create("sessions", SESSION).status_code == 201
    assert operator.create("secrets", SECRET).status_code == 201
    agent = As(control_plane, "cerebro-agent", namespace)
    granted = agent.patch(
        "sessions/phone/status", {"status": {"phase": "Active"}}
    )
    assert granted.json()["status"]["phase"] == "Active"
    assert agent.get("sessions", fieldSelector="status.finished!=true").json()[
        "items"
    ]
    assert agent.get("secrets/login").json()["data"]
    refused = [
        agent.get("secrets"),
        agent.get("secrets", watch="true", timeoutSeconds="1"),
        agent.patch("secrets/login", {}),
        agent.delete("secrets/login"),
        agent.patch("sessions/phone", {"spec": {"revoked": True}}),
        agent.patch(
            "sessions/phone", {"metadata": {"annotations": {"by": "agent"}}}
        ),
        agent.create("sessions", {**SESSION, "metadata": {"name": "other"}}),
        agent.delete("sessions/phone"),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    through_status = agent.patch(
        "sessions/phone/status", {"spec": {"revoked": True}}
    )
    assert through_status.json()["spec"]["revoked"] is False


def test_d1_the_operator_makes_and_deletes_secrets_and_never_sees_one(
    control_plane: ControlPlane, namespace: str
) -> None:
    operator = As(control_plane, "cerebro-operator", namespace)
    assert operator.create("secrets", SECRET).status_code == 201
    refused = [
        operator.get("secrets/login"),
        operator.get("secrets"),
        operator.get("secrets", watch="true", timeoutSeconds="1"),
        operator.patch("secrets/login", {}),
        operator.replace("secrets/login", SECRET),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    assert not [
        answer for answer in refused if "not-to-be-read" in answer.text
    ]
    assert operator.delete("secrets/login").status_code == 200
    assert (
        control_plane.kubectl("get", "secrets", "-n", namespace, "-o", "name")
        == ""
    )


def test_e6_an_object_may_own_another_without_a_right_to_finalizers(
    control_plane: ControlPlane, namespace: str
) -> None:
    operator = As(control_plane, "cerebro-operator", namespace)
    session = operator.create("sessions", SESSION).json()
    owner = {key: session[key] for key in ("apiVersion", "kind")} | {
        key: session["metadata"][key] for key in ("name", "uid")
    }
    owned = {
        **SECRET,
        "metadata": {
            **SECRET["metadata"],
            "name": "owned",
            "ownerReferences": [owner],
        },
    }
    assert operator.create("secrets", owned).status_code == 201

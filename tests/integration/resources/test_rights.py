"""D1: each account may do what it must and nothing else, asked of the real API server with its own token."""

import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from controlplane import apply
from controlplane.server import ControlPlane

ROOT = Path(__file__).parents[3]
OVERLAY = ROOT / "deploy" / "overlays" / "bridge-apart"
APART = "test-bridge-apart"
KINDS = ("hubs", "peers", "devices", "sessions", "devicecommands")
STATUSES = tuple(f"{kind}/status" for kind in KINDS)
READ = ("get", "list", "watch")
OURS, LEASES = "relay.cerebro.dev", "coordination.k8s.io"

Right = tuple[str, str, str]
"""Group, resource, verb."""


def rights(group: str, resources: Iterable[str], *verbs: str) -> set[Right]:
    return {
        (group, resource, verb) for resource in resources for verb in verbs
    }


EVENTS = rights("", ["events"], "create") | rights(
    "events.k8s.io", ["events"], "create"
)
OWN_NAMESPACE = rights("", ["namespaces"], "get")
MAKE_AND_DELETE_SECRETS = rights("", ["secrets"], "create", "delete")
DELETE_DEVICES = rights(OURS, ["devices"], "delete")

AGENT = (
    rights(OURS, KINDS, *READ)
    | rights(OURS, STATUSES, "patch")
    | rights(LEASES, ["leases"], "get", "create", "update")
    | rights("", ["secrets"], "get", "create")
    | EVENTS
    | OWN_NAMESPACE
)
OPERATOR_ALONE = (
    rights(OURS, KINDS, *READ)
    | rights(OURS, ["hubs", "devices", "peers", "sessions"], "patch")
    | rights(
        OURS, ["devices", "peers", "sessions", "devicecommands"], "create"
    )
    | rights(OURS, ["peers", "sessions", "devicecommands"], "delete")
    | rights(OURS, STATUSES, "patch")
    | rights(LEASES, ["leases"], "get", "create", "update")
    | EVENTS
    | OWN_NAMESPACE
)
BRIDGE_APART = (
    rights(OURS, ["sessions"], *READ, "create", "patch")
    | rights(OURS, ["devices"], *READ, "create", "patch", "delete")
    | rights(OURS, ["devicecommands"], *READ, "create", "delete")
    | rights(OURS, ["hubs"], "get", "list")
    | rights(OURS, ["peers"], *READ, "patch")
    | rights(LEASES, ["leases"], "get", "create", "update")
    | MAKE_AND_DELETE_SECRETS
    | OWN_NAMESPACE
)

SESSION = {
    "apiVersion": "relay.cerebro.dev/v1alpha1",
    "kind": "Session",
    "metadata": {"name": "phone"},
    "spec": {
        "deviceRef": {"name": "router-17"},
        "client": {"macAddress": "AA:BB:CC:DD:EE:FF"},
    },
}
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "login",
        "annotations": {"relay.cerebro.dev/device": "router-17"},
    },
    "type": "relay.cerebro.dev/router",
    "stringData": {"password": "not-to-be-read"},
}
MERGE = {"Content-Type": "application/merge-patch+json"}


class As:
    """The API server as one account sees it, with that account's token; paths are below its namespace."""

    def __init__(
        self, plane: ControlPlane, account: str, namespace: str
    ) -> None:
        self.namespace = namespace
        token = plane.kubectl(
            "create", "token", account, "--namespace", namespace
        ).strip()
        self.client = httpx.Client(
            base_url=plane.url,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(
                cafile=str(plane.credentials.ca)
            ),
            timeout=30,
        )

    def path(self, resource: str) -> str:
        plural = resource.split("/", maxsplit=1)[0]
        group = f"apis/{OURS}/v1alpha1" if plural in KINDS else "api/v1"
        return f"/{group}/namespaces/{self.namespace}/{resource}"

    def get(self, resource: str, **query: str) -> httpx.Response:
        return self.client.get(self.path(resource), params=query)

    def create(self, plural: str, body: dict[str, Any]) -> httpx.Response:
        return self.client.post(self.path(plural), json=body)

    def patch(self, resource: str, body: dict[str, Any]) -> httpx.Response:
        return self.client.patch(self.path(resource), json=body, headers=MERGE)

    def replace(self, resource: str, body: dict[str, Any]) -> httpx.Response:
        return self.client.put(self.path(resource), json=body)

    def delete(self, resource: str) -> httpx.Response:
        return self.client.delete(self.path(resource))

    def rights(self) -> set[Right]:
        """Every right that the API server says the account has here, without those that anybody has."""
        review = {
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": self.namespace},
        }
        answer = self.client.post(
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            json={"apiVersion": "authorization.k8s.io/v1", **review},
        )
        return {
            (group, resource, verb)
            for found in answer.raise_for_status().json()["status"][
                "resourceRules"
            ]
            for group in found["apiGroups"]
            for resource in found["resources"]
            for verb in found["verbs"]
            if group not in ("authorization.k8s.io", "authentication.k8s.io")
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
    assert (
        As(control_plane, "cerebro-agent", shared_namespace).rights() == AGENT
    )
    operator = As(control_plane, "cerebro-operator", shared_namespace)
    as_bridge = MAKE_AND_DELETE_SECRETS | DELETE_DEVICES
    assert operator.rights() == OPERATOR_ALONE | as_bridge


def test_d1_a_bridge_apart_takes_the_rights_to_secrets_from_the_operator(
    control_plane: ControlPlane, apart_namespace: str
) -> None:
    assert (
        As(control_plane, "cerebro-bridge", apart_namespace).rights()
        == BRIDGE_APART
    )
    assert (
        As(control_plane, "cerebro-operator", apart_namespace).rights()
        == OPERATOR_ALONE
    )
    assert (
        As(control_plane, "cerebro-agent", apart_namespace).rights() == AGENT
    )


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
    "folder", [ROOT / "deploy" / "base", OVERLAY], ids=["base", "bridge-apart"]
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

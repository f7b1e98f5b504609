"""The API server as one of our accounts sees it."""

import ssl
from typing import Any

import httpx

from controlplane.apply import ROOT
from controlplane.server import ControlPlane
from rights.granted import RELAY, Right

OVERLAY = ROOT / "deploy" / "overlays" / "bridge-apart"
KINDS = ("hubs", "peers", "devices", "sessions", "devicecommands")
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

    def close(self) -> None:
        self.client.close()

    def path(self, resource: str) -> str:
        plural = resource.split("/", maxsplit=1)[0]
        group = f"apis/{RELAY}/v1alpha1" if plural in KINDS else "api/v1"
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
        status = answer.raise_for_status().json()["status"]
        assert not status["incomplete"]
        return {
            (group, resource, verb)
            for found in status["resourceRules"]
            for group in found["apiGroups"]
            for resource in found["resources"]
            for verb in found["verbs"]
            if group not in ("authorization.k8s.io", "authentication.k8s.io")
        }

"""What an export keeps of a Device and what it leaves out."""

from __future__ import annotations

from typing import Any

import yaml

from cerebro.cli.export import document


def device(
    name: str = "r1", *, address: str | None = None, **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Device",
        "metadata": {
            "name": name,
            "namespace": "wifi",
            "uid": "u",
            "resourceVersion": "5",
            "generation": 3,
            "managedFields": [{"manager": "x"}],
            "finalizers": ["relay.cerebro.dev/cleanup"],
            "labels": {"app.kubernetes.io/managed-by": "cerebro-bridge"},
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "relay.cerebro.dev/resync-at": "now",
                "example.net/owner": "José",
            },
        },
        "spec": {
            "api": {"credentialsSecretRef": {"name": f"{name}-router"}},
            **spec,
        },
        "status": {"tunnelAddress": address} if address else {},
    }


def test_e9_the_allocated_address_is_pinned_and_nothing_of_the_moment_is_kept() -> (
    None
):
    hub = {"name": "hub-1"}
    (found,) = yaml.safe_load_all(
        document(
            [device(address="10.8.0.7", hubRef=hub, fieldOfTomorrow=["x"])]
        )
    )
    assert found == {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Device",
        "metadata": {
            "name": "r1",
            "namespace": "wifi",
            "labels": {"app.kubernetes.io/managed-by": "cerebro-bridge"},
            "annotations": {"example.net/owner": "José"},
        },
        "spec": {
            "api": {"credentialsSecretRef": {"name": "r1-router"}},
            "hubRef": hub,
            "fieldOfTomorrow": ["x"],
            "tunnelAddress": "10.8.0.7",
        },
    }


def test_an_address_pinned_already_stays_and_a_device_without_a_hub_gets_none() -> (
    None
):
    pinned = device(
        address="10.8.0.7", hubRef={"name": "h"}, tunnelAddress="10.8.0.9"
    )
    direct = device("r2", address="10.8.0.8")
    first, second = yaml.safe_load_all(document([pinned, direct]))
    assert first["spec"]["tunnelAddress"] == "10.8.0.9"
    assert "tunnelAddress" not in second["spec"]


def test_the_comment_names_what_is_needed_besides() -> None:
    user = {"passwordSecretRef": {"name": "tech"}}
    text = document(
        [device(hubRef={"name": "hub-9"}, technicalUser=user, commands="Off")]
    )
    assert "#   Hubs: hub-9\n#   Secrets: r1-router, tech\n" in text
    assert "'Off'" in text, "without quotes YAML would read it as false"


def test_no_devices_is_an_empty_document() -> None:
    assert list(yaml.safe_load_all(document([]))) == []

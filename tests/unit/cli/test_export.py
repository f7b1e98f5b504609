"""What an export keeps of a Device and what it leaves out."""

from __future__ import annotations

from typing import Any

import yaml

from cerebro.cli.export import document, wants_access


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


def session(
    name: str = "s1", *, generation: int = 1, **status: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Session",
        "metadata": {
            "name": name,
            "namespace": "wifi",
            "uid": "u",
            "generation": generation,
            "annotations": {"relay.cerebro.dev/trace-id": "t"},
        },
        "spec": {"deviceRef": {"name": "r1"}, "duration": "1h"},
        "status": status,
    }


def test_e9_access_that_a_duration_gave_has_its_end() -> None:
    given = session(expiresAt="2030-01-01T12:00:00Z", observedGeneration=1)
    waiting = session("s2")

    first, second = yaml.safe_load_all(document([], [given, waiting]))

    assert first["spec"]["expiresAt"] == "2030-01-01T12:00:00Z"
    assert "duration" not in first["spec"]
    assert first["metadata"]["annotations"] == {
        "relay.cerebro.dev/trace-id": "t"
    }
    assert second["spec"]["duration"] == "1h"
    assert "expiresAt" not in second["spec"]


def test_what_others_name_comes_first() -> None:
    hub = {
        **device("h1"),
        "kind": "Hub",
        "spec": {"addresses": ["10.8.0.1/16"]},
    }

    text = document([device(hubRef={"name": "h1"})], [session(), hub])

    kinds = [body["kind"] for body in yaml.safe_load_all(text)]
    assert kinds == ["Hub", "Device", "Session"]
    assert "#   Hubs: none\n#   Secrets: h1-wireguard, r1-router\n" in text


def test_a_session_that_is_over_wants_nothing() -> None:
    assert wants_access(session(phase="Active", observedGeneration=1))
    assert wants_access(session(phase="Revoked", observedGeneration=1))
    assert not wants_access(session(finished=True, observedGeneration=1))
    assert not wants_access(session(phase="Failed", observedGeneration=1))
    changed = session(generation=2, finished=True, observedGeneration=1)
    assert wants_access(changed)

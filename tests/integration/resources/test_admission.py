"""D0, case S2: what roles allow and policies of admission refuse, each tried on the real API server as the account.

Each attack is refused with the sentence of the policy, beside it the same account's own work passes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from controlplane import apply
from controlplane.server import ControlPlane
from integration.resources.accounts import OVERLAY, SECRET, As

NAMESPACE = "test-admission"
BESIDE = "test-admission-beside"
POLICIES = apply.DEPLOY / "admission.yaml"
KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
OURS = {"app.kubernetes.io/managed-by": "cerebro-bridge"}
Body = dict[str, Any]


def peer(name: str, **spec: Any) -> Body:
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": KEY,
        "allowedIPs": ["10.8.0.9/32"],
        **spec,
    }
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Peer",
        "metadata": {"name": name},
        "spec": spec,
    }


def device(name: str, labels: dict[str, str], secret: str = "login") -> Body:
    spec = {
        "hubRef": {"name": "hub"},
        "api": {"credentialsSecretRef": {"name": secret}},
    }
    metadata = {"name": name, "labels": labels}
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Device",
        "metadata": metadata,
        "spec": spec,
    }


def secret(name: str, type_: str, **annotations: str) -> Body:
    annotated = {
        f"relay.cerebro.dev/{key}": value for key, value in annotations.items()
    }
    return {
        **SECRET,
        "metadata": {"name": name, "annotations": annotated},
        "type": type_,
    }


def wait_until_refused(account: As, plural: str, attack: Body) -> None:
    """Try an attack in dry run until its policy is in force: a new one takes a
    moment.
    """
    deadline = time.monotonic() + 60
    while True:
        answer = account.client.post(
            account.path(plural), params={"dryRun": "All"}, json=attack
        )
        if answer.status_code == 422:
            return

        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


@pytest.fixture(scope="module")
def admission_namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace with all three accounts, in which the policies are known to be in force."""
    apply.apply_rights(control_plane, NAMESPACE, OVERLAY)
    bridge = As(control_plane, "cerebro-bridge", NAMESPACE)
    operator = As(control_plane, "cerebro-operator", NAMESPACE)
    wait_until_refused(operator, "peers", peer("probe"))
    wait_until_refused(bridge, "devices", device("probe", {}))
    wait_until_refused(bridge, "secrets", secret("probe", "Opaque"))
    yield NAMESPACE
    control_plane.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def operator(control_plane: ControlPlane, admission_namespace: str) -> As:
    return As(control_plane, "cerebro-operator", admission_namespace)


@pytest.fixture
def bridge(control_plane: ControlPlane, admission_namespace: str) -> As:
    return As(control_plane, "cerebro-bridge", admission_namespace)


@pytest.fixture
def agent(control_plane: ControlPlane, admission_namespace: str) -> As:
    return As(control_plane, "cerebro-agent", admission_namespace)


def by_a_person(plane: ControlPlane, body: Body) -> None:
    plane.kubectl("apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(body))


def refused(answer: Any, text: str) -> None:
    """The policy refused, in its own words; 403 of the roles would have others."""
    assert answer.status_code == 422, answer.text
    assert text in answer.json()["message"]


def test_d0_nobody_of_ours_makes_an_administrator_of_the_tunnel(
    control_plane: ControlPlane, operator: As
) -> None:
    refused(
        operator.create("peers", peer("admin")), "spec.deviceRef must be set"
    )
    assert (
        operator.create(
            "peers", peer("router", deviceRef={"name": "router"})
        ).status_code
        == 201
    )
    refused(
        operator.patch("peers/router", {"spec": {"deviceRef": None}}),
        "spec.deviceRef must be set",
    )
    assert (
        operator.patch(
            "peers/router", {"spec": {"allowedIPs": ["10.8.0.10/32"]}}
        ).status_code
        == 200
    )


def test_d0_a_peer_that_a_person_made_keeps_its_spec(
    control_plane: ControlPlane, operator: As
) -> None:
    by_a_person(control_plane, peer("laptop"))
    refused(
        operator.patch(
            "peers/laptop", {"spec": {"allowedIPs": ["0.0.0.0/0"]}}
        ),
        "made by a person",
    )
    refused(
        operator.patch(
            "peers/laptop", {"spec": {"deviceRef": {"name": "router"}}}
        ),
        "made by a person",
    )
    finalizers = {"metadata": {"finalizers": ["relay.cerebro.dev/interface"]}}
    assert operator.patch("peers/laptop", finalizers).status_code == 200
    assert (
        operator.patch(
            "peers/laptop", {"metadata": {"finalizers": None}}
        ).status_code
        == 200
    )


def test_d0_a_device_that_a_person_made_is_not_pointed_elsewhere(
    control_plane: ControlPlane, operator: As, bridge: As
) -> None:
    by_a_person(control_plane, device("by-hand", {}))
    elsewhere = {"spec": {"api": {"address": "10.8.0.66"}}}
    for account in (operator, bridge):
        refused(
            account.patch("devices/by-hand", elsewhere),
            "spec.api of a Device that a person made",
        )
        refused(
            account.patch("devices/by-hand", {"metadata": {"labels": OURS}}),
            "must be set when the Device",
        )
    assert (
        operator.patch(
            "devices/by-hand",
            {"metadata": {"finalizers": ["relay.cerebro.dev/cleanup"]}},
        ).status_code
        == 200
    )
    assert (
        operator.patch(
            "devices/by-hand", {"metadata": {"finalizers": None}}
        ).status_code
        == 200
    )


def test_d0_a_device_over_http_bears_the_label_for_ever(bridge: As) -> None:
    refused(
        bridge.create("devices", device("unlabelled", {})),
        "must be set when the Device",
    )
    assert (
        bridge.create("devices", device("over-http", OURS)).status_code == 201
    )
    assert (
        bridge.patch(
            "devices/over-http", {"spec": {"api": {"address": "10.8.0.7"}}}
        ).status_code
        == 200
    )
    gone = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
    refused(
        bridge.patch("devices/over-http", gone), "must be set when the Device"
    )


def test_d0_only_a_device_over_http_is_deleted_by_the_bridge(
    control_plane: ControlPlane, operator: As, bridge: As
) -> None:
    by_a_person(control_plane, device("kept", {}))
    refused(bridge.delete("devices/kept"), "deleted only by that person")
    assert operator.delete("devices/kept").status_code == 403
    assert bridge.create("devices", device("left", OURS)).status_code == 201
    assert bridge.delete("devices/left").status_code == 200
    control_plane.kubectl("delete", "device", "kept", "-n", NAMESPACE)


def test_d0_the_bridge_makes_preshared_keys_and_no_key_of_a_hub(
    control_plane: ControlPlane, bridge: As
) -> None:
    """Told by name and value: they have the type of Hubs' keys."""
    type_ = "relay.cerebro.dev/wireguard"
    key = "bus05-preshared-0123456789"

    def made(name: str, *values: str) -> Any:
        data = dict.fromkeys(values, "of a test")
        body = secret(name, type_, device="bus05") | {"stringData": data}
        return bridge.create("secrets", body)

    assert made(key, "presharedKey").status_code == 201
    assert bridge.delete(f"secrets/{key}").status_code == 200
    for name, values in (
        ("hub-wireguard", ("presharedKey",)),
        (key, ("privateKey",)),
        (key, ("presharedKey", "privateKey")),
        (key, ()),
    ):
        refused(made(name, *values), "only Secrets of the types")
    for name, values in (
        ("kept-wireguard", ("privateKey",)),
        (key, ("presharedKey", "privateKey")),
    ):
        data = dict.fromkeys(values, "of a test")
        body = secret(name, type_) | {"stringData": data}
        by_a_person(control_plane, body)
        refused(bridge.delete(f"secrets/{name}"), "only Secrets of the types")


def test_d0_the_agent_makes_only_secrets_of_hubs(agent: As) -> None:
    for type_ in (
        "Opaque",
        "relay.cerebro.dev/router",
        "relay.cerebro.dev/command",
    ):
        refused(
            agent.create("secrets", secret("made", type_, device="router")),
            "only the Secrets of Hubs",
        )
    made = agent.create(
        "secrets", secret("hub-wireguard", "relay.cerebro.dev/wireguard")
    )
    assert made.status_code == 201


def test_d0_the_bridge_makes_only_secrets_that_name_their_device(
    control_plane: ControlPlane, bridge: As
) -> None:
    refused(
        bridge.create("secrets", secret("any", "Opaque", device="router")),
        "only Secrets of the types",
    )
    refused(
        bridge.create(
            "secrets",
            secret("key", "relay.cerebro.dev/wireguard", device="router"),
        ),
        "only Secrets of the types",
    )
    for named in ({}, {"device": ""}):
        unnamed = bridge.create(
            "secrets", secret("unnamed", "relay.cerebro.dev/router", **named)
        )
        refused(unnamed, "must name the Device")
    login = secret("named", "relay.cerebro.dev/router", device="router")
    assert bridge.create("secrets", login).status_code == 201
    assert bridge.delete("secrets/named").status_code == 200
    by_a_person(control_plane, secret("of-a-person", "Opaque"))
    refused(bridge.delete("secrets/of-a-person"), "only Secrets of the types")


def test_d0_people_are_asked_nothing(
    control_plane: ControlPlane, admission_namespace: str
) -> None:
    by_a_person(control_plane, peer("another-laptop"))
    by_a_person(control_plane, device("another-router", {}))
    by_a_person(control_plane, secret("another-secret", "Opaque"))


def test_d0_the_bridge_changes_the_peers_of_devices_alone(
    control_plane: ControlPlane, operator: As, bridge: As
) -> None:
    keepalive = {"spec": {"persistentKeepalive": 25}}
    made = operator.create("peers", peer("bus", deviceRef={"name": "bus"}))
    assert made.status_code == 201
    assert bridge.patch("peers/bus", keepalive).status_code == 200
    refused(
        bridge.patch("peers/bus", {"spec": {"deviceRef": None}}),
        "spec.deviceRef must be set",
    )

    by_a_person(control_plane, peer("desk"))
    refused(bridge.patch("peers/desk", keepalive), "made by a person")


def test_d0_the_bridge_makes_and_deletes_the_secret_of_a_command(
    bridge: As,
) -> None:
    body = secret("command", "relay.cerebro.dev/command", device="router")
    assert bridge.create("secrets", body).status_code == 201
    assert bridge.delete("secrets/command").status_code == 200


def test_d0_beside_the_operator_the_bridge_is_bound_as_well(
    control_plane: ControlPlane, admission_namespace: str
) -> None:
    """Both work under the operator's account then, which has the rights of both."""
    apply.apply_rights(control_plane, BESIDE)
    both = As(control_plane, "cerebro-operator", BESIDE)

    refused(both.create("peers", peer("admin")), "spec.deviceRef must be set")
    refused(both.create("devices", device("d", {})), "must be set when the")
    body = secret("hub-wireguard", "relay.cerebro.dev/wireguard", device="d")
    refused(both.create("secrets", body), "only Secrets of the types")

    assert both.create("devices", device("d", OURS)).status_code == 201
    login = secret("d", "relay.cerebro.dev/router", device="d")
    assert both.create("secrets", login).status_code == 201
    assert both.delete("secrets/d").status_code == 200
    assert both.delete("devices/d").status_code == 200
    control_plane.kubectl("delete", "namespace", BESIDE, "--wait=false")


def test_d0_each_sentence_of_the_policies_refuses_an_attack(
    control_plane: ControlPlane, operator: As, bridge: As, agent: As
) -> None:
    """A sentence that is added to a policy needs its attack here."""
    by_a_person(control_plane, peer("of-a-person"))
    by_a_person(control_plane, device("of-a-person", {}))
    networks = {"spec": {"allowedIPs": ["0.0.0.0/0"]}}
    elsewhere = {"spec": {"api": {"address": "10.8.0.66"}}}
    unnamed = secret("unnamed", "relay.cerebro.dev/router")
    foreign = secret("foreign", "Opaque", device="router")

    answers = [
        operator.create("peers", peer("nobodys")),
        operator.patch("peers/of-a-person", networks),
        bridge.create("devices", device("nobodys", {})),
        bridge.patch("devices/of-a-person", elsewhere),
        bridge.delete("devices/of-a-person"),
        agent.create("secrets", foreign),
        bridge.create("secrets", foreign),
        bridge.create("secrets", unnamed),
    ]

    said = [answer.json()["message"].partition(": ")[2] for answer in answers]
    assert [answer.status_code for answer in answers] == [422] * len(answers)
    policies = of_kind("ValidatingAdmissionPolicy")
    sentences = [
        validation["message"]
        for policy in policies
        for validation in policy["spec"]["validations"]
    ]
    for sentence in sentences:
        text = sentence.strip()
        assert len([one for one in said if one.endswith(text)]) == 1, text

    assert len(said) == len(sentences)


def test_d0_what_a_policy_cannot_judge_is_refused() -> None:
    policies = of_kind("ValidatingAdmissionPolicy")
    bindings = of_kind("ValidatingAdmissionPolicyBinding")

    assert {policy["spec"]["failurePolicy"] for policy in policies} == {"Fail"}
    bound = {
        binding["spec"]["policyName"]: binding["spec"]["validationActions"]
        for binding in bindings
    }
    names = [policy["metadata"]["name"] for policy in policies]
    assert bound == {name: ["Deny"] for name in names}


def of_kind(kind: str) -> list[Body]:
    documents = yaml.safe_load_all(POLICIES.read_text())
    return [item for item in documents if item["kind"] == kind]

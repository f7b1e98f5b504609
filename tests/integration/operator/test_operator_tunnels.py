"""What the operator does for Devices behind a Hub: addresses (E9), Peers, finalizers (E6). Agents are faked."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import Cluster, OperatorProcess

API = "relay.cerebro.dev/v1alpha1"
INTERFACE, CLEANUP = "relay.cerebro.dev/interface", "relay.cerebro.dev/cleanup"
QUIET = {"CEREBRO_AGENT_LOST_AFTER": "600"}
"""No agent runs here; that is the subject of other tests."""
GARBAGE_COLLECTED = 600.0
"""Seconds: Kubernetes' garbage collector reads the kinds anew only now and then, and tests beside this one take CRDs
away and bring them back.
"""


def key(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def hub(*addresses: str, **spec: Any) -> dict[str, Any]:
    spec = {"nodeName": "node-1", "addresses": list(addresses), **spec}
    return {
        "apiVersion": API,
        "kind": "Hub",
        "metadata": {"name": "hub"},
        "spec": spec,
    }


def device(name: str, **spec: Any) -> dict[str, Any]:
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": key(name),
        "api": {"credentialsSecretRef": {"name": "router"}},
        **spec,
    }
    spec = {field: value for field, value in spec.items() if value is not None}
    return {
        "apiVersion": API,
        "kind": "Device",
        "metadata": {"name": name},
        "spec": spec,
    }


def apply_all(cluster: Cluster, manifests: list[dict[str, Any]]) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "List", "items": manifests})


def items(cluster: Cluster, kind: str) -> list[dict[str, Any]]:
    return list(
        json.loads(cluster.kubectl("get", kind, "-o", "json"))["items"]
    )


def addresses(cluster: Cluster) -> dict[str, str]:
    found = {
        item["metadata"]["name"]: item.get("status", {}).get("tunnelAddress")
        for item in items(cluster, "device")
    }
    return {name: address for name, address in found.items() if address}


def allowed(cluster: Cluster, peer: str) -> list[str]:
    return list(
        cluster.get("peer", peer).get("spec", {}).get("allowedIPs", [])
    )


def condition(
    cluster: Cluster, kind: str, name: str, type_: str, reason: str
) -> None:
    """Say of an object as it is now what its agent would."""
    said = {
        "type": type_,
        "status": "False",
        "reason": reason,
        "message": "",
        "observedGeneration": cluster.get(kind, name)["metadata"][
            "generation"
        ],
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    cluster.status(kind, name, conditions=[said])


def is_going(cluster: Cluster, kind: str, name: str) -> bool:
    return "deletionTimestamp" in cluster.get(kind, name).get("metadata", {})


def event_reasons(cluster: Cluster) -> set[str]:
    return set(
        cluster.kubectl(
            "get", "events", "-o", "jsonpath={.items[*].reason}"
        ).split()
    )


def reason(cluster: Cluster, name: str) -> str | None:
    ready = cluster.ready("device", name)
    return ready[1] if ready else None


def test_e9_addresses_are_given_once_and_are_the_same_after_a_restart_and_a_rebuild(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    """100 Devices in a pool of 125: most of them meet taken addresses on their way."""
    names = [f"r{number}" for number in range(100)]
    apply_all(cluster, [hub("10.71.0.1/25"), *map(device, names)])
    operator.start(**QUIET)
    cluster.until(
        lambda: (
            len(items(cluster, "peer")) == 100
            and len(addresses(cluster)) == 100
        ),
        "all have a Peer",
    )
    first = addresses(cluster)
    assert len(set(first.values())) == 100
    assert "10.71.0.1" not in first.values()
    peers = {item["metadata"]["name"]: item for item in items(cluster, "peer")}
    assert {
        name: peer["spec"]["allowedIPs"] for name, peer in peers.items()
    } == {name: [f"{address}/32"] for name, address in first.items()}
    versions = {
        name: peer["metadata"]["resourceVersion"]
        for name, peer in peers.items()
    }

    operator.end()
    operator.start(**QUIET)
    apply_all(cluster, [device("new")])
    cluster.until(
        lambda: "new" in addresses(cluster), "the restarted operator works"
    )
    late = addresses(cluster)
    assert late.pop("new") not in first.values()
    assert late == first
    after = {
        item["metadata"]["name"]: item["metadata"]["resourceVersion"]
        for item in items(cluster, "peer")
    }
    assert {name: after[name] for name in versions} == versions, (
        "nothing was written again"
    )
    operator.end()

    cluster.kubectl("delete", "device", "--all", "--wait=false")
    patch = json.dumps({"metadata": {"finalizers": []}})
    cluster.kubectl("delete", "peer", "--all", "--wait=false")
    for item in items(cluster, "peer"):
        cluster.kubectl(
            "patch",
            "peer",
            item["metadata"]["name"],
            "--type=merge",
            "-p",
            patch,
        )
    cluster.until(lambda: not items(cluster, "peer"), "all Peers are gone")
    random.Random(1).shuffle(names)
    apply_all(cluster, [device(name) for name in names])
    operator.start(**QUIET)
    cluster.until(
        lambda: len(addresses(cluster)) == 100, "all have an address again"
    )
    assert addresses(cluster) == first


def test_e9_devices_that_come_while_it_runs_pins_and_a_second_network(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.apply(hub("10.72.0.1/24", "fd00:72::1/64"))
    operator.start(**QUIET)
    apply_all(
        cluster,
        [
            device("pinned", tunnelAddress="10.72.0.9"),
            device("six", tunnelAddress="fd00:72:0:0::7"),
        ],
    )
    apply_all(cluster, [device(f"r{number}") for number in range(120)])
    apply_all(
        cluster,
        [device(f"r{number}", publicKey=None) for number in range(120, 251)],
    )
    apply_all(cluster, [device(f"over-{number}") for number in range(10)])
    cluster.until(
        lambda: len(addresses(cluster)) == 263, "all have an address"
    )
    found = addresses(cluster)
    assert len(set(found.values())) == 263
    assert (found["pinned"], found["six"]) == ("10.72.0.9", "fd00:72::7")
    assert (
        sum(address.startswith("fd00:72:") for address in found.values())
        == 263 - 253
    )
    cluster.until(
        lambda: allowed(cluster, "six") == ["fd00:72::7/128"],
        "a Peer with an IPv6 address",
    )
    cluster.until(
        lambda: len(items(cluster, "peer")) == 132,
        "Peers for those with a key only",
    )
    assert all(
        not item["metadata"].get("finalizers")
        for item in items(cluster, "device")
    )


def test_addresses_that_cannot_be_given_are_said_and_taken_back(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    apply_all(
        cluster, [hub("10.73.0.1/29"), device("lost", hubRef={"name": "none"})]
    )
    apply_all(cluster, [device(f"r{number}") for number in range(5)])
    operator.start(**QUIET)
    cluster.until(
        lambda: reason(cluster, "lost") == "HubNotFound", "no such Hub"
    )
    cluster.until(lambda: len(addresses(cluster)) == 5, "the pool is used up")
    taken = addresses(cluster)["r0"]
    apply_all(
        cluster,
        [
            device("late"),
            device("outside", tunnelAddress="10.99.0.1"),
            device("same", tunnelAddress=taken),
            device("hubs", tunnelAddress="10.73.0.1"),
        ],
    )
    cluster.until(
        lambda: reason(cluster, "late") == "PoolExhausted",
        "the pool is exhausted",
    )
    cluster.until(
        lambda: reason(cluster, "outside") == "TunnelAddressOutsideHub",
        "outside",
    )
    cluster.until(
        lambda: reason(cluster, "same") == "TunnelAddressConflict", "another's"
    )
    cluster.until(
        lambda: reason(cluster, "hubs") == "TunnelAddressConflict", "the Hub's"
    )
    assert not {"late", "outside", "same", "hubs"} & {
        item["metadata"]["name"] for item in items(cluster, "peer")
    }
    cluster.until(
        lambda: allowed(cluster, "r0") == [f"{taken}/32"], "its Peer"
    )
    said = {"PoolExhausted", "HubNotFound", "TunnelAddressConflict"}
    cluster.until(lambda: said <= event_reasons(cluster), "Events")

    cluster.apply(hub("10.73.0.1/29", "10.74.0.1/24"))
    cluster.until(
        lambda: addresses(cluster).get("late", "").startswith("10.74.0."),
        "the new network is used",
    )
    cluster.until(
        lambda: reason(cluster, "late") is None, "the condition is taken back"
    )
    cluster.apply(device("outside", tunnelAddress="10.74.0.77"))
    cluster.until(
        lambda: addresses(cluster).get("outside") == "10.74.0.77", "corrected"
    )


def test_peer_follows_its_device_and_leaves_those_of_people_alone(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    by_hand = {
        "hubRef": {"name": "hub"},
        "publicKey": key("by hand"),
        "allowedIPs": ["10.75.0.200/32"],
    }
    apply_all(
        cluster,
        [
            hub("10.75.0.1/24"),
            {
                "apiVersion": API,
                "kind": "Peer",
                "metadata": {"name": "r1"},
                "spec": by_hand,
            },
            device("r1", lanNetworks=["192.168.88.0/24"]),
            device("r2"),
        ],
    )
    operator.start(**QUIET)
    cluster.until(
        lambda: (
            len(items(cluster, "peer")) == 3
            and cluster.get("device", "r1").get("status", {}).get("peerName")
        ),
        "both have Peers",
    )
    name = cluster.get("device", "r1")["status"]["peerName"]
    digest = hashlib.sha256(
        cluster.get("device", "r1")["metadata"]["uid"].encode()
    ).hexdigest()
    assert name == f"r1-{digest[:6]}"
    address = addresses(cluster)["r1"]
    peer = cluster.get("peer", name)
    assert peer["spec"]["allowedIPs"] == [f"{address}/32", "192.168.88.0/24"]
    (owner,) = peer["metadata"]["ownerReferences"]
    assert owner["uid"] == cluster.get("device", "r1")["metadata"]["uid"]
    assert "blockOwnerDeletion" not in owner
    assert cluster.get("peer", "r1")["spec"] == by_hand
    cluster.until(
        lambda: (
            cluster.get("peer", "r1")["metadata"].get("finalizers")
            == [INTERFACE]
        ),
        "every Peer has it",
    )

    patch = json.dumps({"spec": {"persistentKeepalive": 25}})
    cluster.kubectl("patch", "peer", name, "--type=merge", "-p", patch)
    cluster.apply(
        device("r1", publicKey=key("rotated"), lanNetworks=["192.168.99.0/24"])
    )
    cluster.until(
        lambda: (
            cluster.get("peer", name)["spec"]["publicKey"] == key("rotated")
        ),
        "the key is followed",
    )
    spec = cluster.get("peer", name)["spec"]
    assert spec["allowedIPs"] == [f"{address}/32", "192.168.99.0/24"]
    assert spec["persistentKeepalive"] == 25, "what a person added stays"

    cluster.apply(device("r1", publicKey=None))
    cluster.until(
        lambda: is_going(cluster, "peer", name), "a Peer without a key goes"
    )
    condition(cluster, "peer", name, "Applied", "Removed")
    cluster.until(lambda: not cluster.get("peer", name), "it is gone")
    assert addresses(cluster)["r1"] == address

    cluster.kubectl("delete", "device", "r2", "--wait=false")
    cluster.until(
        lambda: is_going(cluster, "peer", "r2"),
        "the garbage collector takes the Peer",
    )
    condition(cluster, "peer", "r2", "Applied", "Removed")
    cluster.until(lambda: not cluster.get("peer", "r2"), "it is gone")
    assert cluster.get("peer", "r1")["spec"] == by_hand


def test_e9_existing_peer_gives_a_device_without_status_its_address(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    """A restore brings Peers, with the UIDs of Devices of old, and no status."""
    apply_all(cluster, [hub("10.76.0.1/24"), device("r1")])
    uid = cluster.get("device", "r1")["metadata"]["uid"]
    meta = {
        "name": "r1",
        "labels": {"app.kubernetes.io/managed-by": "cerebro-operator"},
    }
    spec = {
        "hubRef": {"name": "hub"},
        "deviceRef": {"name": "r1"},
        "publicKey": key("r1"),
        "allowedIPs": ["10.76.0.33/32"],
    }
    cluster.apply(
        {"apiVersion": API, "kind": "Peer", "metadata": meta, "spec": spec}
    )
    operator.start(**QUIET)
    cluster.until(
        lambda: addresses(cluster) == {"r1": "10.76.0.33"},
        "the address of the Peer",
    )
    cluster.until(
        lambda: (
            [
                one["uid"]
                for one in cluster.get("peer", "r1")["metadata"].get(
                    "ownerReferences", []
                )
            ]
            == [uid]
        ),
        "the Peer is the Device's again",
    )


@pytest.mark.timeout(900)
def test_e6_finalizers_wait_for_the_agent_also_under_foreground_deletion(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    apply_all(
        cluster,
        [
            hub("10.77.0.1/24"),
            device("r1", deletionPolicy="Cleanup"),
            device("r2", deletionPolicy="Cleanup"),
        ],
    )
    operator.start(**QUIET)
    cluster.until(
        lambda: (
            cluster.get("device", "r1")["metadata"].get("finalizers")
            == [CLEANUP]
        ),
        "Cleanup",
    )
    cluster.until(lambda: cluster.get("peer", "r1"), "a Peer")
    cluster.apply(device("r2", deletionPolicy="Retain"))
    cluster.until(
        lambda: not cluster.get("device", "r2")["metadata"].get("finalizers"),
        "Retain again",
    )

    cluster.kubectl(
        "delete", "device", "r1", "--cascade=foreground", "--wait=false"
    )
    cluster.until(
        lambda: is_going(cluster, "peer", "r1"),
        "the garbage collector takes the Peer at once",
        within=GARBAGE_COLLECTED,
    )
    assert is_going(cluster, "device", "r1")
    condition(cluster, "device", "r1", "Ready", "CleanedUp")
    cluster.until(
        lambda: not cluster.get("device", "r1"), "cleaned up and gone"
    )
    assert is_going(cluster, "peer", "r1"), (
        "its entry is still on the interface"
    )
    condition(cluster, "peer", "r1", "Applied", "Removed")
    cluster.until(lambda: not cluster.get("peer", "r1"), "removed and gone")


def test_finalizer_is_forced_by_annotation_keeps_others_and_goes_with_the_hub(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    apply_all(cluster, [hub("10.78.0.1/24"), device("r1"), device("r2")])
    operator.start(**QUIET)
    cluster.until(lambda: len(items(cluster, "peer")) == 2, "Peers")
    others = json.dumps(
        {"metadata": {"finalizers": [INTERFACE, "example.org/mine"]}}
    )
    cluster.kubectl("patch", "peer", "r1", "--type=merge", "-p", others)
    cluster.kubectl("delete", "device", "r1", "r2", "--wait=false")
    cluster.until(
        lambda: (
            is_going(cluster, "peer", "r1") and is_going(cluster, "peer", "r2")
        ),
        "Peers are going",
    )
    cluster.kubectl(
        "annotate", "peer", "r1", "relay.cerebro.dev/force-finalize=true"
    )
    cluster.until(
        lambda: (
            cluster.get("peer", "r1")["metadata"]["finalizers"]
            == ["example.org/mine"]
        ),
        "only ours is gone",
    )
    assert is_going(cluster, "peer", "r2")
    cluster.kubectl("delete", "hub", "hub", "--wait=false")
    cluster.until(
        lambda: not cluster.get("peer", "r2"), "no Hub, nobody to wait for"
    )
    cluster.kubectl(
        "patch",
        "peer",
        "r1",
        "--type=merge",
        "-p",
        json.dumps({"metadata": {"finalizers": []}}),
    )


@pytest.mark.parametrize("kind", ["peer", "hub"])
def test_finalizer_has_a_time_limit(
    cluster: Cluster, operator: OperatorProcess, kind: str
) -> None:
    apply_all(
        cluster, [hub("10.79.0.1/24", deletionPolicy="Cleanup"), device("r1")]
    )
    name = "r1" if kind == "peer" else "hub"
    operator.start(**QUIET, CEREBRO_FINALIZER_TIMEOUT="12")
    cluster.until(
        lambda: cluster.get(kind, name).get("metadata", {}).get("finalizers"),
        "the finalizer",
    )
    uid = cluster.get(kind, name)["metadata"]["uid"]
    cluster.kubectl("delete", kind, name, "--wait=false")
    assert is_going(cluster, kind, name)
    cluster.until(
        lambda: cluster.get(kind, name).get("metadata", {}).get("uid") != uid,
        "let go",
    )
    cluster.until(
        lambda: "FinalizerTimeout" in event_reasons(cluster),
        "an Event",
    )
    if kind == "peer":
        cluster.until(
            lambda: cluster.get("peer", "r1"),
            "the Device is still there: its Peer comes again",
        )


def test_e1_operator_without_the_lease_writes_nothing(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.renew("cerebro-operator", "somebody-else")
    apply_all(
        cluster, [hub("10.80.0.1/24"), device("r1", deletionPolicy="Cleanup")]
    )
    operator.start(**QUIET)
    for _ in range(12):
        cluster.renew("cerebro-operator", "somebody-else")
        item = cluster.get("device", "r1")
        assert not item.get("status", {}).get("tunnelAddress")
        assert not item["metadata"].get("finalizers")
        assert not cluster.get("peer", "r1")
    cluster.until(
        lambda: cluster.get("peer", "r1"), "it works once the Lease is its own"
    )
    assert operator.end(signal.SIGTERM) == 0

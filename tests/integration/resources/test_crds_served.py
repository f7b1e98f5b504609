"""The CRDs as the API server serves them: examples, defaults, selection, columns, the status subresource."""

import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cerebro.resources import (
    KINDS,
    Condition,
    Device,
    DeviceCommandStatus,
    DeviceStatus,
    Hub,
    HubStatus,
    Kind,
    PeerStatus,
    SessionStatus,
    set_condition,
)
from cerebro.resources.device_command import CommandError, CommandResult
from controlplane.server import ControlPlane

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
GROUP = "relay.cerebro.dev"


def session(
    name: str, *, device: str = "router-17", order: str = "1", **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "Session",
        "metadata": {"name": name},
        "spec": {
            "deviceRef": {"name": device},
            "client": {"macAddress": "AA:BB:CC:DD:EE:FF"},
            "orderID": order,
            **spec,
        },
    }


SPECS: dict[str, dict[str, Any]] = {
    "Hub": {"addresses": ["10.8.0.1/16"]},
    "Peer": {
        "hubRef": {"name": "main"},
        "publicKey": "3zuMtWqEUgRyXtyNjsJ7RVMaYBWGoJQVpDUqN4u6eBw=",
    },
    "Device": {
        "hubRef": {"name": "main"},
        "api": {"credentialsSecretRef": {"name": "login"}},
    },
    "Session": session("any")["spec"],
    "DeviceCommand": {
        "deviceRef": {"name": "router-17"},
        "sentences": [["/ip/arp/print"]],
    },
}


def minimal(kind: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": SPECS[kind],
    }


def apply(
    plane: ControlPlane, namespace: str, *documents: dict[str, Any]
) -> None:
    plane.kubectl(
        "apply",
        "-n",
        namespace,
        "-f",
        "-",
        stdin=yaml.safe_dump_all(documents),
    )


def set_status(
    plane: ControlPlane, namespace: str, resource: str, status: dict[str, Any]
) -> None:
    patch = json.dumps({"status": status})
    plane.kubectl(
        "patch",
        resource,
        "-n",
        namespace,
        "--subresource=status",
        "--type=merge",
        "--patch",
        patch,
    )


def get(plane: ControlPlane, namespace: str, resource: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        plane.kubectl("get", resource, "-n", namespace, "-o", "json")
    )
    return found


def test_all_five_kinds_are_served_by_their_names(
    control_plane: ControlPlane,
) -> None:
    lines = control_plane.kubectl(
        "api-resources", f"--api-group={GROUP}", "--no-headers"
    ).splitlines()
    served = {line.split()[-1]: line.split()[:2] for line in lines}
    assert served == {
        kind.kind: [kind.plural, kind.short_names[0]]
        for kind in KINDS.values()
    }


def test_crds_install_alone_by_kustomize(control_plane: ControlPlane) -> None:
    applied = control_plane.kubectl(
        "apply", "--dry-run=server", "-k", str(ROOT / "deploy" / "crds")
    )
    assert len(applied.splitlines()) == len(KINDS)


def test_each_crd_is_structural_and_has_accepted_names(
    control_plane: ControlPlane,
) -> None:
    for kind in KINDS.values():
        crd = json.loads(
            control_plane.kubectl("get", "crd", kind.crd_name, "-o", "json")
        )
        conditions = {
            item["type"]: item["status"]
            for item in crd["status"]["conditions"]
        }
        assert (
            conditions["NamesAccepted"] == conditions["Established"] == "True"
        )
        assert "NonStructuralSchema" not in conditions


def test_examples_apply_and_are_read_by_the_models(
    control_plane: ControlPlane, namespace: str
) -> None:
    kinds = set()
    for path in EXAMPLES:
        control_plane.kubectl("apply", "-n", namespace, "-f", str(path))
    for kind in KINDS.values():
        for item in get(control_plane, namespace, kind.plural)["items"]:
            read = kind.model.model_validate(item)
            kinds.add(read.kind)
            wire = read.wire()["spec"]
            assert {key: wire[key] for key in item["spec"]} == item["spec"], (
                "the model says what the server has"
            )
    assert kinds == set(KINDS)
    table = control_plane.kubectl("get", "cerebro", "-n", namespace)
    for kind in KINDS.values():
        assert f"{kind.singular}.{GROUP}/" in table


def test_static_defaults_are_filled_in_and_equal_the_models(
    control_plane: ControlPlane, namespace: str
) -> None:
    apply(
        control_plane,
        namespace,
        minimal("Device", "bare"),
        minimal("Hub", "bare"),
    )
    device = get(control_plane, namespace, "device/bare")["spec"]
    assert device["api"]["timeout"] == "8s"
    assert device["api"]["tls"] == {"mode": "Disabled"}
    assert "port" not in device["api"], (
        "a default that depends on another field is computed"
    )
    assert device["access"] == {
        "addressList": "paid_clients",
        "bindingType": "bypassed",
        "guard": "None",
    }
    assert device["circuitBreaker"] == {
        "failureThreshold": 5,
        "recoveryTime": "1m",
    }
    model = Device.model_validate({"kind": "Device", "spec": device})
    assert model.spec == Device.model_validate(minimal("Device", "bare")).spec
    hub = get(control_plane, namespace, "hub/bare")["spec"]
    assert (hub["interface"], hub["listenPort"], hub["mtu"]) == (
        "wg0",
        51820,
        1420,
    )
    assert (
        Hub.model_validate({"spec": hub}).spec
        == Hub.model_validate({"spec": {"addresses": ["10.8.0.1/16"]}}).spec
    )


def test_what_nobody_has_looked_at_says_so(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Also an object whose status is of a release without the field."""
    apply(
        control_plane,
        namespace,
        minimal("Device", "fresh"),
        minimal("Device", "older"),
    )
    set_status(control_plane, namespace, "device/older", {"version": "7.20"})

    fresh = get(control_plane, namespace, "device/fresh")["status"]
    older = get(control_plane, namespace, "device/older")["status"]

    assert fresh == {"observedGeneration": -1}
    assert older == {"observedGeneration": -1, "version": "7.20"}


def test_the_server_selects_by_device_order_and_finished(
    control_plane: ControlPlane, namespace: str
) -> None:
    apply(
        control_plane,
        namespace,
        session("done", order="order one"),
        session("live", order="order two"),
        session("elsewhere", device="router-18", order="trial:é"),
        {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "DeviceCommand",
            "metadata": {"name": "look"},
            "spec": {
                "deviceRef": {"name": "router-17"},
                "sentences": [["/ip/arp/print"]],
            },
        },
    )
    set_status(control_plane, namespace, "session/done", {"finished": True})
    set_status(control_plane, namespace, "session/live", {"finished": False})
    set_status(
        control_plane, namespace, "devicecommand/look", {"finished": True}
    )

    def selected(selector: str, plural: str = "sessions") -> set[str]:
        names = control_plane.kubectl(
            "get",
            plural,
            "-n",
            namespace,
            "--field-selector",
            selector,
            "-o",
            "name",
        )
        return {name.split("/")[1] for name in names.split()}

    assert selected("status.finished!=true") == {"live", "elsewhere"}
    assert selected("status.finished=true") == {"done"}
    assert selected("spec.deviceRef.name=router-17") == {"done", "live"}
    assert selected("spec.orderID=order two") == {"live"}
    assert selected("spec.orderID=trial:é") == {"elsewhere"}
    assert selected("status.finished!=true,spec.deviceRef.name=router-17") == {
        "live"
    }
    assert selected("status.finished=true", "devicecommands") == {"look"}
    assert selected("spec.deviceRef.name=router-18", "devicecommands") == set()


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_e7_a_table_without_objects_still_tells_the_uids(
    kind: Kind, control_plane: ControlPlane, namespace: str
) -> None:
    apply(control_plane, namespace, minimal(kind.kind, "one"))
    answer = httpx.get(
        f"{control_plane.url}/apis/{GROUP}/v1alpha1/namespaces/{namespace}/{kind.plural}",
        params={"includeObject": "None"},
        headers={
            "Accept": "application/json;as=Table;g=meta.k8s.io;v=v1",
            "Authorization": f"Bearer {control_plane.credentials.admin_token}",
        },
        verify=ssl.create_default_context(
            cafile=str(control_plane.credentials.ca)
        ),
        timeout=30,
    )
    table = answer.raise_for_status().json()
    columns = {
        column["name"]: (at, column["priority"])
        for at, column in enumerate(table["columnDefinitions"])
    }
    at, priority = columns["UID"]
    assert priority == 1
    uid = get(control_plane, namespace, f"{kind.plural}/one")["metadata"][
        "uid"
    ]
    assert [row["cells"][at] for row in table["rows"]] == [uid]
    assert table["rows"][0].get("object") is None


def test_columns_answer_who_is_in_and_until_when(
    control_plane: ControlPlane, namespace: str
) -> None:
    apply(control_plane, namespace, session("shown"))
    set_status(
        control_plane,
        namespace,
        "session/shown",
        {"phase": "Active", "expiresAt": "2030-01-31T22:00:00Z"},
    )
    header, row = control_plane.kubectl(
        "get", "sess", "-n", namespace
    ).splitlines()
    assert header.split() == [
        "NAME",
        "DEVICE",
        "CLIENT",
        "MAC",
        "TYPE",
        "PHASE",
        "ENFORCED",
        "ENDS",
        "AGE",
    ]
    assert row.split()[:5] == [
        "shown",
        "router-17",
        "AA:BB:CC:DD:EE:FF",
        "Paid",
        "Active",
    ]
    assert "2030-01-31T22:00:00Z" in row
    wide = control_plane.kubectl("get", "sess", "-n", namespace, "-o", "wide")
    assert (
        get(control_plane, namespace, "session/shown")["metadata"]["uid"]
        in wide
    )


STATUSES: list[Any] = [
    HubStatus(
        public_key="k" * 44,
        node_name="vps-1",
        implementation="Kernel",
        peers={"desired": 3, "applied": 2, "online": 1, "unknown": 0},
        last_resync_at="monday",
    ),
    PeerStatus(
        state="Online",
        last_handshake_time=NOW,
        applied_public_key="k" * 44,
        endpoint="203.0.113.7:51820",
    ),
    DeviceStatus(
        tunnel_address="10.8.0.7",
        identity="Praça",
        serial_number="HB1",
        answering_serial_number="HB2",
        version="7.20",
        board="RB5009",
        peer_name="router-17",
        sessions={"active": 4, "pending": 0},
        circuit={"state": "Open", "open_until": NOW},
        technical_user={"name": "relay-tech", "secret_version": "17"},
        plan=["add ip-binding AA:BB:CC:DD:EE:FF"],
        undone_configuration="0f3a",
        last_resync_at="monday",
    ),
    SessionStatus(
        phase="Expired",
        authorized_at=NOW,
        reopened_at=NOW,
        expires_at=NOW + timedelta(minutes=5, milliseconds=250),
        finished_at=NOW,
        finished=True,
        applied={
            "mac_address": "AA:BB:CC:DD:EE:FF",
            "ip_address": "10.5.50.7",
            "pinned_for": "10.5.50.7",
        },
        client_seen=False,
        address_held_by="AA:BB:CC:DD:EE:01",
        observed_generation=1,
    ),
    DeviceCommandStatus(
        phase="Failed",
        started_at=NOW,
        finished_at=NOW,
        finished=True,
        truncated=False,
        results=[
            CommandResult(
                ok=True, rows=[{".id": "*1", "address": "10.5.50.7"}]
            ),
            CommandResult(
                ok=False, error=CommandError(category=2, message="interrupted")
            ),
        ],
    ),
]


@pytest.mark.parametrize(
    ("kind", "status"),
    list(zip(KINDS.values(), STATUSES, strict=True)),
    ids=list(KINDS),
)
def test_a_status_written_from_the_model_comes_back_equal(
    kind: Any, status: Any, control_plane: ControlPlane, namespace: str
) -> None:
    said = Condition(
        type="Ready",
        status="Unknown",
        reason="AgentLost",
        message="no sign of it",
        observed_generation=1,
    )
    full = status.model_copy(
        update={"conditions": set_condition([], said, NOW)}
    )
    assert set(full.wire()) == set(
        kind.model.model_fields["status"].annotation.model_json_schema()[
            "properties"
        ]
    )
    apply(control_plane, namespace, minimal(kind.kind, "full"))
    set_status(control_plane, namespace, f"{kind.plural}/full", full.wire())
    found = get(control_plane, namespace, f"{kind.plural}/full")
    assert found["status"] == full.wire(), "nothing pruned, nothing filled in"
    assert kind.model.model_validate(found).status == kind.model.model_fields[
        "status"
    ].annotation.model_validate(full.wire())


def test_a_spec_cannot_be_changed_through_the_status_nor_the_reverse(
    control_plane: ControlPlane, namespace: str
) -> None:
    apply(control_plane, namespace, session("split"))
    patch = json.dumps(
        {"spec": {"revoked": True}, "status": {"phase": "Active"}}
    )
    control_plane.kubectl(
        "patch",
        "session/split",
        "-n",
        namespace,
        "--type=merge",
        "--patch",
        patch,
    )
    found = get(control_plane, namespace, "session/split")
    assert found["spec"]["revoked"] is True
    assert found["status"] == {"observedGeneration": 0}
    set_status(control_plane, namespace, "session/split", {"phase": "Revoked"})
    assert (
        get(control_plane, namespace, "session/split")["metadata"][
            "generation"
        ]
        == 2
    )


def test_two_conditions_of_one_type_are_refused(
    control_plane: ControlPlane, namespace: str
) -> None:
    apply(control_plane, namespace, session("twice"))
    ready = set_condition(
        [], Condition(type="Ready", status="True", reason="Granted"), NOW
    )[0].wire()
    with pytest.raises(RuntimeError, match="Duplicate value"):
        set_status(
            control_plane,
            namespace,
            "session/twice",
            {"conditions": [ready, ready]},
        )

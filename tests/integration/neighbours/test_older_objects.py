"""Objects as an older release wrote them, with their statuses, under this release's CRDs and processes.

They are in `objects`, with what was on the router meanwhile. Their days are brought up to yesterday, so that nothing
is due because the files are old.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.server import ControlPlane
from integration.agent.process import SHORT_TIMES, AgentProcess
from integration.agent.relay import Relay
from integration.agent.router import Router
from integration.operator.conftest import OperatorProcess
from releases.previous import Release

Object = dict[str, Any]
OBJECTS = Path(__file__).with_name("objects")
KINDS = ("hub", "device", "peer", "session", "devicecommand")
WRITTEN_ON = "2026-11-29T"
DEVICE = "lobby"
PHONES = {
    f"AA:BB:CC:00:20:0{number}": f"10.5.50.{number}" for number in range(1, 7)
}
IN = sorted(PHONES)[:3]
MENUS = (
    "/ip/hotspot/ip-binding",
    "/ip/firewall/address-list",
    "/ip/hotspot/user",
)


def read(name: str) -> list[Object]:
    """Return the documents of a file, as of yesterday."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    text = (OBJECTS / f"{name}.yaml").read_text()
    text = text.replace(WRITTEN_ON, yesterday.strftime("%Y-%m-%dT"))
    return list(yaml.safe_load_all(text))


OLDER = {
    f"{document['kind']}/{document['metadata']['name']}": document
    for kind in KINDS
    for document in read(kind)
}


@pytest.fixture(scope="module")
def older(
    control_plane: ControlPlane,
    simulator: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Relay]:
    """A namespace with the objects and their router; no process of ours runs there yet."""
    folder = tmp_path_factory.mktemp("older")
    relay = Relay(control_plane, simulator, folder)
    try:
        make_router(relay)
        peers = [OLDER["Peer/bus-1"]]
        make(relay, [item for item in OLDER.values() if item not in peers])
        make(relay, peers)

        yield relay
    finally:
        relay.close()


@pytest.fixture(scope="module")
def router(older: Relay) -> Router:
    return older.routers[0]


@pytest.fixture(scope="module")
def went_on(older: Relay, router: Router) -> Iterator[AgentProcess]:
    """This release's agent and operator, after they have looked at everything twice."""
    kubeconfig = older.plane.account_kubeconfig(
        "cerebro-operator", older.namespace
    )
    settings = {
        **SHORT_TIMES,
        "KUBECONFIG": str(kubeconfig),
        "CEREBRO_NAMESPACE": older.namespace,
        "CEREBRO_HEALTH_ADDRESS": "127.0.0.1:0",
        "CEREBRO_AGENT_LOST_AFTER": "600",
    }
    operator = OperatorProcess(settings, older.folder / "operator.log")
    operator.start()
    agent = older.agent().start()
    older.until(agent.ready, "the agent is ready", agent.output)
    older.until_resynced(router)
    older.until(
        lambda: older.status("interrupted", "DeviceCommand").get("finished"),
        "the command whose agent ended is judged",
    )
    yield agent
    operator.end()
    print(operator.log.read_text())
    print(agent.output())


def make_router(relay: Relay) -> None:
    """Make the router of the Device, as the older release left it, with its phones."""
    router = relay.router(serial="SNLOBBY", credentials=False)
    relay.delete("device", router.name)
    user = router.address_book["user"]
    relay.secret(DEVICE, user, relay.passwords[-1])

    rows = yaml.safe_load((OBJECTS / "router.yaml").read_text())
    for menu, values in rows.items():
        router.add_many(menu, values)

    for mac, ip in PHONES.items():
        router.move_in(mac, ip)


def make(relay: Relay, documents: list[Object]) -> None:
    """Create objects with their statuses, as they were."""
    bodies = json.loads(json.dumps(documents))
    statuses = [
        {
            **{part: body[part] for part in ("apiVersion", "kind")},
            "metadata": {"name": body["metadata"]["name"]},
            "status": body.pop("status"),
        }
        for body in bodies
    ]
    for body in bodies:
        if body["metadata"]["name"] == DEVICE:
            port = relay.routers[0].address_book["port"]
            body["spec"]["api"]["port"] = port

        if body["kind"] == "Peer":
            device = body["spec"]["deviceRef"]["name"]
            body["metadata"]["ownerReferences"] = [owner(relay, device)]

    relay.kubectl("create", "-f", "-", stdin=as_list(bodies))
    words = ("--server-side", "--subresource=status", "--validate=false")
    agent = "--field-manager=cerebro-agent"
    relay.kubectl("apply", *words, agent, "-f", "-", stdin=as_list(statuses))


def as_list(items: list[Object]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def owner(relay: Relay, device: str) -> Object:
    made = relay.get("Device", device)
    return {
        "apiVersion": made["apiVersion"],
        "kind": "Device",
        "name": device,
        "uid": made["metadata"]["uid"],
        "controller": True,
    }


def now_of(relay: Relay) -> dict[str, Object]:
    """Return the objects as they are, by kind and name."""
    words = ("get", ",".join(f"{kind}s" for kind in KINDS), "-o", "json")
    return {
        f"{item['kind']}/{item['metadata']['name']}": item
        for item in json.loads(relay.kubectl(*words))["items"]
    }


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """Return the fields that are not there any more, or say something else."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            loss
            for name, value in before.items()
            for loss in lost(value, after.get(name), f"{path}.{name}")
        ]

    return [] if before == after else [f"{path}: {before!r} -> {after!r}"]


def fields(schema: Object, path: str = "") -> set[str]:
    """Return the fields of a schema that have a value of their own."""
    inner = schema.get("items", schema)
    properties = inner.get("properties")
    if properties is None:
        return {path}

    return {
        field
        for name, part in properties.items()
        for field in fields(part, f"{path}.{name}")
    }


def filled(value: Any, path: str = "") -> set[str]:
    """Return the fields that a value has, written as `fields` does."""
    if isinstance(value, dict):
        parts = [
            filled(part, f"{path}.{name}") for name, part in value.items()
        ]
        return {path}.union(*parts)

    if isinstance(value, list):
        return {path}.union(*(filled(item, path) for item in value))

    return {path}


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_have_each_field_that_the_older_status_has(
    kind: str, previous: Release
) -> None:
    """A release that writes further fields needs a further document in the files: leave the older ones as they are."""
    crd = yaml.safe_load(
        (previous.crds / f"{kind}s.relay.cerebro.dev.yaml").read_text()
    )
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    wanted = fields(schema["properties"]["status"])
    there = set[str]().union(
        *(filled(document["status"]) for document in read(kind))
    )

    assert wanted - there == set()


def test_nothing_of_an_older_object_is_lost_or_refused(older: Relay) -> None:
    present = now_of(older)

    losses = {
        name: lost(
            {part: document[part] for part in ("spec", "status")},
            present[name],
        )
        for name, document in OLDER.items()
    }
    port = [
        loss for loss in losses.pop("Device/lobby") if ".port:" not in loss
    ]
    assert port == []
    assert not any(losses.values()), losses


def test_processes_go_on_from_older_objects_and_cut_nobody(
    older: Relay, router: Router, went_on: AgentProcess
) -> None:
    assert router.writes() == 0
    assert {mac for mac in PHONES if router.forwards(mac)} == set(IN)

    older.until_condition("Device", DEVICE, "Ready", "True")
    present = now_of(older)
    assert present.keys() == OLDER.keys()
    for name, document in OLDER.items():
        if document["kind"] == "Session":
            kept = ("phase", "expiresAt", "authorizedAt", "finished")
            was, status = document["status"], present[name]["status"]
            assert {key: status.get(key) for key in kept} == {
                key: was.get(key) for key in kept
            }

    # What the Hub's agent has to do is another's; addresses and Peers stay.
    for name in ("Peer/bus-1", "Hub/hub"):
        assert lost(OLDER[name]["spec"], present[name]["spec"]) == []
        assert lost(OLDER[name]["status"], present[name]["status"]) == []

    for name in ("bus-1", "bus-2"):
        address = OLDER[f"Device/{name}"]["status"]["tunnelAddress"]
        status = present[f"Device/{name}"]["status"]
        assert status["tunnelAddress"] == address


def test_no_older_command_is_run_again(
    older: Relay, router: Router, went_on: AgentProcess
) -> None:
    sent = [entry["sentence"][0] for entry in router.log()]
    assert not {"/ip/arp/print", "/interface/monitor-traffic"} & set(sent)

    for name in ("arp", "refused"):
        was = dict(OLDER[f"DeviceCommand/{name}"]["status"])
        conditions = was.pop("conditions")
        status = older.status(name, "DeviceCommand")
        assert lost(was, status) == []
        assert [
            condition
            for condition in conditions
            if condition not in status["conditions"]
        ] == []

    interrupted = older.status("interrupted", "DeviceCommand")
    assert interrupted["phase"] == "Failed"
    complete = older.condition("DeviceCommand", "interrupted", "Complete")
    assert complete["reason"] == "Interrupted"


def test_a_live_session_of_an_older_release_ends_by_a_word(
    older: Relay, router: Router, went_on: AgentProcess
) -> None:
    older.patch("session", "by-order", revoked=True)
    older.until_finished("by-order")

    assert {mac for mac in PHONES if router.forwards(mac)} == set(IN[1:])

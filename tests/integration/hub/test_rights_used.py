"""D1: each right that `deploy/` grants is used, and nothing else is asked for, as the API server's audit log has it.

All processes run, the bridge apart, each with the token of its own account. A story makes them do all that they ever
do: what their roles grant and nobody has called for by its end is a right too many.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from backend.billing import signed_headers
from controlplane import apply, audit, binaries
from controlplane.server import ControlPlane
from integration.agent.router import Router
from integration.bridge.process import SECRET, TOKEN, BridgeProcess
from integration.hub.hub_node import HubNode
from integration.hub.plain import PlainRouter, make_keys, make_preshared_key
from integration.hub.world import ADDRESS, PORT, World
from integration.resources.accounts import As

OVERLAY = apply.ROOT / "deploy" / "overlays" / "bridge-apart"
HUB, ROUTER = "hub", "by-hand"
ROUTERS = "/relay/routers/routers"
EXEC = "/relay/exec-by-device"
RENAME = "/system/identity/set name=renamed"
PHONE = {"ipAtual": "10.5.50.10", "macAtual": "AA:BB:CC:00:00:01"}
NOWHERE = {"deviceRef": {"name": "nowhere"}, "ttlAfterFinished": "0s"}
SHORT = {
    "CEREBRO_AGENT_CHECK_INTERVAL": "0.3",
    "CEREBRO_AGENT_LOST_AFTER": "4",
    "CEREBRO_ORPHAN_INTERVAL": "0.5",
    "CEREBRO_SUPERSEDING_TTL": "1",
}

NEEDLESS = ("cerebro-agent", "", "pods", "create", "")
"""What no role grants, and nobody uses."""

Right = tuple[str, str, str, str, str]
"""Account, group, resource, verb; the object's name where the role names it."""


@pytest.fixture(scope="module")
def control_plane(
    control_plane_programs: binaries.Binaries,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ControlPlane]:
    """A control plane that writes down what accounts call for."""
    with ControlPlane(
        tmp_path_factory.mktemp("audited"),
        programs=control_plane_programs,
        audited=True,
    ) as plane:
        apply.apply_crds(plane)
        yield plane


def granted(plane: ControlPlane) -> set[Right]:
    """Return what the roles of all accounts grant, one verb at a time."""
    text = plane.kubectl("kustomize", str(OVERLAY))
    documents = list(yaml.safe_load_all(text))
    rules = {
        document["metadata"]["name"]: document["rules"]
        for document in documents
        if document["kind"] == "Role"
    }
    return {
        (subject["name"], group, resource, verb, name)
        for document in documents
        if document["kind"] == "RoleBinding"
        for subject in document["subjects"]
        for rule in rules[document["roleRef"]["name"]]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


class Story:
    """Has the processes do all that they ever do."""

    def __init__(self, world: World, bridge: BridgeProcess) -> None:
        self._world = world
        self._http = httpx.Client(base_url=bridge.url, timeout=60)

    def calls(self) -> list[audit.Call]:
        """Return what the accounts have called for so far."""
        written = audit.calls(audit.log_of(self._world.plane.folder))
        ours = self._world.namespace
        return [call for call in written if call.namespace == ours]

    def unused(self, rights: set[Right]) -> set[Right]:
        """Return those of the rights that nobody has used so far."""
        used = set[Right]()
        for call in self.calls():
            if call.status not in (401, 403):
                right = (call.account, call.group, call.resource, call.verb)
                used |= {(*right, ""), (*right, call.name)}

        return rights - used

    def call(
        self, path: str, method: str = "POST", **fields: Any
    ) -> httpx.Response | None:
        """Call the bridge; None if it does not listen yet."""
        body = json.dumps(fields).encode() if fields else b""
        secret = SECRET.encode()
        headers = signed_headers(method, path, body, TOKEN, secret)
        try:
            return self._http.request(
                method, path, content=body, headers=headers
            )
        except httpx.TransportError:
            return None

    def done(self, path: str, **fields: Any) -> None:
        """Call the bridge until it has done what it is called for."""
        answers: list[httpx.Response | None] = []

        def is_answered() -> bool:
            answer = self.call(path, **fields)
            answers[:] = [answer]
            return answer is not None and answer.status_code != 503

        self._world.until(is_answered, f"{path} is answered", lambda: answers)
        (answer,) = answers
        assert answer is not None
        assert answer.status_code == 200, answer.text

    def manifest(self, kind: str, name: str, **spec: Any) -> None:
        """Apply an object as a person does."""
        made = {"kind": kind, "metadata": {"name": name}, "spec": spec}
        self._world.apply(made)

    def overreach(self) -> audit.Call:
        """Have the agent's account list Secrets, which is refused; return that call as the log should have it."""
        namespace = self._world.namespace
        agent = As(self._world.plane, "cerebro-agent", namespace)
        assert agent.get("secrets").status_code == 403
        agent.close()
        return audit.Call(
            *(namespace, "cerebro-agent", "list", "", "secrets", "", 403),
            namespace,
        )

    # --- its parts

    def what_nobody_serves(self) -> None:
        """Make objects that the operator is to end, to delete, and to tell of in an Event."""
        self.manifest(
            "Device",
            "homeless",
            hubRef={"name": "nowhere"},
            api={"credentialsSecretRef": {"name": "none"}},
        )
        self.manifest("DeviceCommand", "lost", operation="Arp", **NOWHERE)
        client = {"macAddress": PHONE["macAtual"]}
        self.manifest("Session", "lost", client=client, **NOWHERE)
        self.manifest(
            "Session",
            "superseding",
            client=client,
            deviceRef={"name": ROUTER},
            supersedes={"name": "gone"},
        )

    def a_router_by_hand(self, node: HubNode) -> Router:
        """Connect a router whose Device a person made."""
        world = self._world
        router: PlainRouter = world.plain_router(ROUTER)
        simulated = world.tunnel_router(
            HUB,
            router,
            routerID="R1",
            commands="All",
            deletionPolicy="Cleanup",
        )
        world.until(
            lambda: world.status(ROUTER, "Device").get("tunnelAddress"),
            "an address is allocated",
        )
        router.live_at(world.status(ROUTER, "Device")["tunnelAddress"])
        world.until_condition("Peer", ROUTER, "Applied", "True")
        router.dial(
            world.status(HUB, "Hub")["publicKey"], f"{node.address}:{PORT}"
        )
        world.answer_api(router, simulated)
        router.reaches(ADDRESS)
        world.until_condition("Device", ROUTER, "Ready", "True")
        return simulated

    def a_router_over_http(self) -> None:
        """Register a router, and change what was said of it."""
        fields: dict[str, Any] = {
            "deviceId": "BUS05",
            "mikrotikPublicKey": make_keys().public,
            "tunnelIp": "10.64.3.7",
            "mikrotik": {
                "publicIp": "203.0.113.7",
                "apiUser": "relay",
                "apiPassword": "of a test",
            },
        }
        for keepalive in (25, 30):
            key = make_preshared_key()
            said = {"presharedKey": key, "keepalive": keepalive}
            self.done(f"{ROUTERS}/register", **fields, **said)

    def orders(self) -> None:
        """Let a phone in, for longer, and send it away; the same of a user."""
        for minutes in (30, 60):
            self.done(
                "/relay/authorize-by-pedido",
                pedidoId="P1",
                mikId="R1",
                planoMinutos=minutes,
                **PHONE,
            )

        self.done("/relay/revoke", mikId="R1", pedidoId="P1")

        user = {"mikId": "R1", "username": "guest"}
        self.done("/relay/hotspot/ensure-user", **user, password="pw-1")
        self.done("/relay/hotspot/revoke", **user)

    def commands(self, router: Router) -> None:
        """Rename the router, which an Event tells; run a command that a person changes meanwhile."""
        world = self._world
        self.done(EXEC, mikId="R1", sentences=[RENAME])

        router.faults(hang=True)
        self.manifest(
            "DeviceCommand",
            "changed",
            deviceRef={"name": ROUTER},
            operation="Arp",
        )
        world.until(
            lambda: world.status("changed", "DeviceCommand").get("startedAt"),
            "the command has begun",
        )
        world.kubectl("label", "devicecommand", "changed", "by=a-person")
        router.faults()
        router.reboot(0.1)
        resync = "relay.cerebro.dev/resync-at=2026-01-01T00:00:00Z"
        world.kubectl("annotate", "device", ROUTER, resync)

    def without_agent(self) -> None:
        """Have nobody look after Hub, Peer and Device; nobody runs a command, and a router goes."""
        (agent,) = self._world.agents
        agent.end()
        self.call(EXEC, mikId="R1", sentences=[RENAME])
        self.call(f"{ROUTERS}/bus05", "DELETE")

    def another_network(self) -> None:
        """Have the router lead to a network, which its Peer follows."""
        networks = ["192.168.77.0/24"]
        self._world.patch("device", ROUTER, lanNetworks=networks)

    def without_a_key(self) -> None:
        """Take the router's key away, and so its Peer."""
        self._world.patch("device", ROUTER, publicKey=None)


def test_d1_each_right_is_used_and_nothing_else_is_asked_for(
    world: World, node: HubNode, tmp_path: Path
) -> None:
    plane, namespace = world.plane, world.namespace
    apply.apply_rights(plane, namespace, OVERLAY)
    rights = granted(plane)

    events = tmp_path / "events.json"
    events.write_text("[]")
    bridge = BridgeProcess(
        tmp_path,
        {
            "KUBECONFIG": str(
                plane.account_kubeconfig("cerebro-bridge", namespace)
            ),
            "CEREBRO_EVENTS_FILE": str(events),
            "CEREBRO_RECORDS": "file",
            "CEREBRO_RECORDS_FILE": str(tmp_path / "access.jsonl"),
            "CEREBRO_LEASE_DURATION": "4",
            "CEREBRO_LEASE_RENEW_INTERVAL": "1",
        },
        namespace,
    )
    story = Story(world, bridge)
    try:
        world.operator(**SHORT)
        world.start_agent(node)
        story.what_nobody_serves()
        world.ready_hub(HUB, node, deletionPolicy="Cleanup")
        router = story.a_router_by_hand(node)
        story.a_router_over_http()
        story.orders()
        story.another_network()
        story.commands(router)
        world.until(
            lambda: (
                not story.unused(
                    {right for right in rights if right[0] == "cerebro-agent"}
                )
            ),
            "the agent uses all its rights",
            lambda: sorted(story.unused(rights)),
        )
        story.without_agent()
        story.without_a_key()
        world.until(
            lambda: not story.unused(rights),
            "all rights are used",
            lambda: sorted(story.unused(rights)),
        )
    finally:
        bridge.kill()
        print(bridge.output())

    assert story.unused({*rights, NEEDLESS}) == {NEEDLESS}
    seen = story.overreach()
    refused = [call for call in story.calls() if call.status == 403]
    assert refused == [seen]

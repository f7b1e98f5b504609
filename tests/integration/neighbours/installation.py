"""One installation whose parts are each of one release or the other, and a router that it serves."""

from __future__ import annotations

import json
import secrets
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from backend.billing import Billing
from controlplane import apply
from controlplane.proxy import Request
from controlplane.server import ControlPlane
from integration.agent.process import SHORT_TIMES, AgentProcess, Proxy
from integration.agent.relay import Object, Relay
from integration.agent.router import CERTAIN
from integration.bridge.process import SECRET, TOKEN, BridgeProcess
from integration.operator.conftest import OperatorProcess
from releases.previous import Release

ROUTER_ID = "R1"
HUB, BEHIND, ASTRAY = "hub", "bus-1", "bus-2"
KEY = "3zuMtWqEUgRyXtyNjsJ7RVMaYBWGoJQVpDUqN4u6eBw="
KINDS = "hubs,devices,peers,sessions,devicecommands"


@dataclass(frozen=True)
class Parts:
    """Of which release each part is."""

    crds: Release
    """With the rights of `deploy/`, which are applied beside them."""

    operator: Release
    bridge: Release
    agent: Release


class Installation:
    """All parts are of one release at first. The tests move it from there."""

    def __init__(
        self,
        plane: ControlPlane,
        control: str,
        folder: Path,
        proxy: Proxy,
        release: Release,
    ) -> None:
        self._plane, self._folder, self._proxy = plane, folder, proxy
        apply.apply_crds(plane, release.crds)
        self.relay = Relay(plane, control, folder)
        apply.apply_rights(plane, self.relay.namespace, release.base)

        self.parts = Parts(release, release, release, release)
        self.operator = self._start_operator(release)
        self.bridge = self._start_bridge(release)
        self.agent = self._start_agent(release)
        self._phones = 0

    def __enter__(self) -> Self:
        self.router = self.relay.router(
            device={"routerID": ROUTER_ID, "resyncInterval": "1s"}
        )
        self.relay.apply(*_a_hub_and_what_is_behind_it(self.router.name))
        self.relay.until_condition("Device", self.router.name, "Ready", "True")
        self.relay.until(
            lambda: self.relay.status(BEHIND, "Device").get("tunnelAddress"),
            "the Device behind the Hub has its address",
        )
        # This one's Ready is the operator's alone.
        self.relay.until_condition("Device", ASTRAY, "Ready", "False")
        self._until_knows(self.bridge)
        return self

    def __exit__(self, *_: object) -> None:
        self.bridge.kill()
        self.operator.end()
        for log in sorted(self._folder.rglob("*.log")):
            print(
                f"--- {log.name}\n{log.read_text('utf-8', 'replace')[-6000:]}"
            )

        self.relay.close()

    # --- which release each part is of

    def becomes(self, parts: Parts, *, anew: bool = False) -> None:
        """Change the parts that are of another release, as a rollout does: CRDs first, then operator and bridge,
        beside which their predecessors still run, then the agent, which ends before the next one starts.

        `anew`: operator and agent are started anew in any case, as pods are when a node goes: they know the objects
        only as the CRDs now have them.
        """
        before, self.parts = self.parts, parts
        with ExitStack() as stack:
            if parts.crds is not before.crds:
                apply.apply_crds(self._plane, parts.crds.crds)
                namespace = self.relay.namespace
                apply.apply_rights(self._plane, namespace, parts.crds.base)

            if anew or parts.operator is not before.operator:
                stack.callback(self.operator.end, signal.SIGTERM)
                self.operator = self._start_operator(parts.operator)

            if parts.bridge is not before.bridge:
                stack.callback(self.bridge.terminate)
                self.bridge = self._start_bridge(parts.bridge)
                self._until_knows(self.bridge)

        if anew or parts.agent is not before.agent:
            self.agent.end(signal.SIGTERM)
            self.agent = self._start_agent(parts.agent)

    def _start_operator(self, release: Release) -> OperatorProcess:
        log = self._folder / f"operator-{secrets.token_hex(3)}.log"
        settings = {
            **SHORT_TIMES,
            "CEREBRO_NAMESPACE": self.relay.namespace,
            "CEREBRO_IDENTITY": log.stem,
            "CEREBRO_HEALTH_ADDRESS": "127.0.0.1:0",
            "CEREBRO_AGENT_LOST_AFTER": "600",
        }
        process = OperatorProcess(
            {**settings, **self._runs("cerebro-operator", release)}, log
        )
        process.start()
        return process

    def _start_bridge(self, release: Release) -> BridgeProcess:
        """Start one on the file that all bridges here have."""
        environment = self._runs("cerebro-operator", release)
        return BridgeProcess(self._folder, environment, self.relay.namespace)

    def _start_agent(self, release: Release) -> AgentProcess:
        agent = self.relay.agent(
            server=self._proxy.faults.url,
            CEREBRO_WIREGUARD_DRY_RUN="true",
            **release.environment,
        ).start()
        self.relay.until(agent.ready, "the agent is ready", agent.output)
        return agent

    def _runs(self, account: str, release: Release) -> dict[str, str]:
        kubeconfig = self._plane.account_kubeconfig(
            account, self.relay.namespace, server=self._proxy.faults.url
        )
        return {"KUBECONFIG": str(kubeconfig), **release.environment}

    def _until_knows(self, bridge: BridgeProcess) -> None:
        """Wait until a bridge knows all objects."""

        def knows() -> bool:
            try:
                answer = httpx.get(f"{bridge.url}/health", timeout=CERTAIN)
            except httpx.TransportError:
                return False

            return bool(answer.json()["status"] == "ok")

        self.relay.until(knows, "the bridge knows all objects", bridge.output)

    # --- what a backend, a phone and a person see

    def new_phone(self) -> tuple[str, str]:
        """Return MAC and address of a phone that came in, and has no access."""
        self._phones += 1
        mac, ip = (
            f"AA:BB:CC:00:20:{self._phones:02X}",
            f"10.5.50.{self._phones}",
        )
        self.router.move_in(mac, ip)
        assert not self.router.forwards(mac)
        return mac, ip

    def post(self, path: str, **fields: Any) -> Object:
        """Send a backend's call until it is done; return the answer."""
        answers: list[httpx.Response] = []

        def done() -> bool:
            with Billing(self.bridge.url, TOKEN, SECRET) as billing:
                answers.append(
                    billing.post(path, {"mikId": ROUTER_ID, **fields})
                )

            assert answers[-1].status_code in {200, 503}, answers[-1].text
            return answers[-1].status_code == 200

        self.relay.until(done, path, lambda: answers[-1].text)
        return dict(answers[-1].json())

    def order(self, name: str) -> str:
        """Let a new phone in by an order; return its MAC."""
        mac, ip = self.new_phone()
        self.post(
            "/relay/authorize-by-pedido",
            pedidoId=name,
            ipAtual=ip,
            macAtual=mac,
        )
        assert self.router.forwards(mac)
        return mac

    def run_command(self, name: str) -> Object:
        """Run a DeviceCommand; return its status."""
        spec = {"deviceRef": {"name": self.router.name}, "operation": "Arp"}
        self.relay.apply(
            {"kind": "DeviceCommand", "metadata": {"name": name}, "spec": spec}
        )

        def status() -> Object:
            return self.relay.status(name, "DeviceCommand")

        self.relay.until(
            lambda: status().get("finished"), f"{name} is finished", status
        )
        return status()

    # --- what goes on behind

    def settle(self) -> None:
        """Wait until a newly started agent has compared everything twice."""
        self.relay.until_resynced(self.router)

    def until_quiet(self, seconds: float) -> None:
        """Wait until so long no write of an object of ours was sent, whether it would have changed anything or not."""
        last, since = self._proxy.passed(_writes_an_object), time.monotonic()

        def quiet() -> bool:
            nonlocal last, since
            sent = self._proxy.passed(_writes_an_object)
            if sent != last:
                last, since = sent, time.monotonic()

            return time.monotonic() - since >= seconds

        self.relay.until(quiet, "nobody writes any more", self._last_writes)

    def _last_writes(self) -> list[str]:
        requests = [
            f"{request.method} {request.path}"
            for request in list(self._proxy.faults.requests)
            if _writes_an_object(request)
        ]
        return requests[-10:]

    def not_judged(self) -> list[str]:
        """Return the objects, by kind and name, whose status is not of their newest generation."""
        items = json.loads(self.relay.kubectl("get", KINDS, "-o", "json"))
        return [
            f"{item['kind']}/{item['metadata']['name']}"
            for item in items["items"]
            if item["status"].get("observedGeneration")
            != item["metadata"]["generation"]
        ]


def _writes_an_object(request: Request) -> bool:
    return request.write and request.resource in KINDS.split(",")


def _a_hub_and_what_is_behind_it(credentials: str) -> list[Object]:
    """Return a Hub of the agent's node, which is in dry run, a Device behind it that nobody dials, and one whose Hub
    is not there.
    """
    hub = {
        "nodeName": "node-under-test",
        "addresses": ["10.64.0.1/16"],
        "endpoint": "vpn.example.org:51820",
        "resyncInterval": "1s",
    }
    api = {"credentialsSecretRef": {"name": credentials}}
    behind = {
        "hubRef": {"name": HUB},
        "publicKey": KEY,
        "paused": "All",
        "api": api,
    }
    astray = {"hubRef": {"name": "no-such-hub"}, "api": api}
    return [
        {"kind": "Hub", "metadata": {"name": HUB}, "spec": hub},
        {"kind": "Device", "metadata": {"name": BEHIND}, "spec": behind},
        {"kind": "Device", "metadata": {"name": ASTRAY}, "spec": astray},
    ]

"""A namespace with Hubs, Peers and Devices, the nodes that carry them, and the routers that dial."""

from __future__ import annotations

import base64
import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from controlplane.server import ControlPlane
from integration.agent.relay import API, Object, Relay
from integration.agent.router import CERTAIN, Router
from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.internet import Internet, Nat
from integration.hub.plain import Implementation, Keys, PlainRouter, Seen
from integration.operator.conftest import OperatorProcess
from network.node import Node

PLURALS = {
    "Hub": "hubs",
    "Peer": "peers",
    "Device": "devices",
    "Session": "sessions",
    "DeviceCommand": "devicecommands",
    "Lease": "leases",
}
ADDRESS = "10.64.0.1"
"""Of the Hub in the tunnel."""
POOL = f"{ADDRESS}/16"
PORT = 51820
OPERATOR = {
    "CEREBRO_IDENTITY": "operator-under-test",
    "CEREBRO_HEALTH_ADDRESS": "127.0.0.1:0",
    "CEREBRO_BACKOFF_CEILING": "1",
    "CEREBRO_REQUEST_TIMEOUT": "5",
    "CEREBRO_STORE_CHECK_INTERVAL": "5",
    "CEREBRO_LEASE_DURATION": "4",
    "CEREBRO_LEASE_RENEW_INTERVAL": "1",
}


class World(Relay):
    """What the tests of one file share. Nodes and routers live until its end."""

    def __init__(
        self,
        plane: ControlPlane,
        control: str,
        folder: Path,
        implementation: Implementation,
    ) -> None:
        super().__init__(plane, control, folder)
        self.implementation = implementation
        self._stack = ExitStack()
        self.internet = self._stack.enter_context(Internet(folder))
        self._operator: OperatorProcess | None = None
        self._networks = 64

    def close(self) -> None:
        """End all processes, take the namespace away and the nodes down."""
        try:
            if self._operator is not None and self._operator.runs():
                self._operator.end()
            super().close()
        finally:
            self._stack.close()

    # --- processes

    def node(self, name: str | None = None) -> HubNode:
        """Make a node that can carry Hubs, with its keeper where that is needed."""
        name = name or f"hub-{secrets.token_hex(3)}"
        node = HubNode(name, self.internet, self.implementation, self.folder)
        self._stack.enter_context(node)
        self.reach_api_server(node)
        return node

    def reach_api_server(self, node: Node) -> None:
        """Let a node reach the API server where it is reached outside: the one place that knows."""
        node.reach(self.plane.port)

    def agent_on(
        self,
        node: HubNode,
        *,
        server: str | None = None,
        before: Sequence[str] = (),
        **environment: str,
    ) -> NodeAgent:
        """Make an agent on a node, not started yet, with the rights of its account; `server` may be a proxy."""
        made = self.plane.account_kubeconfig(
            "cerebro-agent", self.namespace, server=server
        )
        number = len(self.agents)
        kubeconfig = shutil.copy(
            made, self.folder / f"agent-{number}.kubeconfig"
        )
        base = {
            "KUBECONFIG": str(kubeconfig),
            "CEREBRO_NAMESPACE": self.namespace,
        }
        agent = NodeAgent(
            node,
            base | environment,
            self.folder / f"agent-{number}.log",
            before,
        )
        self.agents.append(agent)
        return agent

    def start_agent(self, node: HubNode, **options: Any) -> NodeAgent:
        """Start an agent on a node and wait until it is ready."""
        agent = self.agent_on(node, **options)
        agent.start()
        self.until(agent.ready, "the agent is ready", agent.output)
        return agent

    def operator(self, **environment: str) -> OperatorProcess:
        """Start the operator, once."""
        if self._operator is None:
            kubeconfig = self.plane.account_kubeconfig(
                "cerebro-operator", self.namespace
            )
            base = {
                "KUBECONFIG": str(kubeconfig),
                "CEREBRO_NAMESPACE": self.namespace,
            }
            self._operator = OperatorProcess(
                {**OPERATOR, **base, **environment},
                self.folder / "operator.log",
            )
            self._operator.start()
        return self._operator

    # --- objects

    def hub(self, name: str, node: HubNode | str | None, **spec: Any) -> None:
        """Apply a Hub; on no node in particular when that is None."""
        # Passes take long in a virtual machine.
        resync = "1s" if self.implementation == "Userspace" else "5s"
        words: Object = {"addresses": [POOL], "resyncInterval": resync, **spec}
        if node is not None:
            words["nodeName"] = node if isinstance(node, str) else node.name
            words.setdefault("implementation", self.implementation)
        self.apply({"kind": "Hub", "metadata": {"name": name}, "spec": words})

    def ready_hub(self, name: str, node: HubNode | None, **spec: Any) -> str:
        """Apply a Hub and wait until it is ready; gives its public key."""
        self.hub(name, node, **spec)
        self.until_condition("Hub", name, "Ready", "True")
        return str(self.status(name, "Hub")["publicKey"])

    def peer(
        self, name: str, hub: str, key: str, *allowed: str, **spec: Any
    ) -> None:
        """Apply a Peer as a person does."""
        self.apply(a_peer(name, hub, key, *allowed, **spec))

    def applied_peer(
        self, name: str, hub: str, key: str, *allowed: str, **spec: Any
    ) -> None:
        """Apply a Peer and wait until it is on the interface."""
        self.peer(name, hub, key, *allowed, **spec)
        self.until_condition("Peer", name, "Applied", "True")

    def tunnel_secret(self, name: str, **data: str) -> None:
        """Make a Secret of the type for WireGuard."""
        encoded = {
            key: base64.b64encode(value.encode()).decode()
            for key, value in data.items()
        }
        self.passwords += [
            value for key, value in data.items() if key != "publicKey"
        ]
        manifest = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "relay.cerebro.dev/wireguard",
        }
        self.apply({**manifest, "metadata": {"name": name}, "data": encoded})

    # --- routers

    def nat(self, name: str) -> Nat:
        """Make what routers can be behind."""
        return self._stack.enter_context(Nat(name, self.internet, self.folder))

    def plain_router(
        self,
        name: str,
        tunnel_address: str = "",
        keys: Keys | None = None,
        behind: Nat | None = None,
    ) -> PlainRouter:
        """Make a router that has an interface and dials nobody yet."""
        router = PlainRouter(
            name,
            behind or self.internet,
            self.implementation,
            self.folder,
            keys,
        )
        self._stack.enter_context(router)
        if tunnel_address:
            router.live_at(tunnel_address)
        return router

    def connected(
        self, hub: str, node: HubNode, name: str, tunnel_address: str
    ) -> PlainRouter:
        """Make a router with its Peer by hand, and have it reach the Hub; its Peer has the same name."""
        router = self.plain_router(name, tunnel_address)
        self.applied_peer(
            name, hub, router.keys.public, f"{tunnel_address}/32"
        )
        router.dial(
            str(self.status(hub, "Hub")["publicKey"]), f"{node.address}:{PORT}"
        )
        router.reaches(ADDRESS)
        return router

    def tunnel_router(
        self, hub: str, router: PlainRouter, **device: Any
    ) -> Router:
        """Make a simulated router, with its Device behind the Hub, whose API `router` forwards to it."""
        name = router.name
        password = secrets.token_urlsafe(18)
        body = {"name": name, "password": password, "serial": f"SN{name}"}
        answer = httpx.post(f"{self.control}/routers", json=body, timeout=30)
        answer.raise_for_status()
        simulated = Router(self.control, answer.json())
        self.routers.append(simulated)
        self.secret(name, simulated.address_book["user"], password)
        api = {"credentialsSecretRef": {"name": name}, "timeout": "2s"}
        spec = {
            "hubRef": {"name": hub},
            "publicKey": router.keys.public,
            "api": api,
            **device,
        }
        spec.setdefault("circuitBreaker", {"recoveryTime": "1s"})
        self.apply(
            {"kind": "Device", "metadata": {"name": name}, "spec": spec}
        )
        return simulated

    def answer_api(self, router: PlainRouter, simulated: Router) -> None:
        """Let the simulated router's API be reached at the tunnel address of `router`."""
        port = simulated.address_book["port"]
        router.reach(port)
        router.forward_api(port)

    def touch(self, hub: str) -> str:
        """Have the agent compare everything, as a person does; gives the annotation's value."""
        path = f"/apis/{API}/namespaces/{self.namespace}/hubs/{hub}"
        stamp = datetime.now(UTC).isoformat()
        patch = {
            "metadata": {"annotations": {"relay.cerebro.dev/resync-at": stamp}}
        }
        headers = {"Content-Type": "application/merge-patch+json"}
        self._http.patch(path, json=patch, headers=headers).raise_for_status()
        return stamp

    # --- what is so

    def until(
        self,
        check: Callable[[], object],
        what: str,
        seen: Callable[[], object] = str,
        within: float = CERTAIN,
    ) -> None:
        """Wait until something is so; fail with what was seen last."""
        deadline = time.monotonic() + within
        while not check():
            assert time.monotonic() < deadline, (
                f"not within {within:g} s: {what}; seen last: {seen()}"
            )
            time.sleep(0.05)

    def get(self, kind: str, name: str) -> Object:
        """Read an object; empty when there is none."""
        group = "coordination.k8s.io/v1" if kind == "Lease" else API
        path = (
            f"/apis/{group}/namespaces/{self.namespace}/{PLURALS[kind]}/{name}"
        )
        answer = self._http.get(path)
        if answer.status_code == 404:
            return {}
        answer.raise_for_status()
        return dict(answer.json())

    def until_peers(
        self,
        node: HubNode,
        check: Callable[[Mapping[str, Seen]], object],
        what: str,
    ) -> None:
        """Wait until `wg` shows such peers."""

        def so() -> bool:
            shown = node.show()
            return shown is not None and bool(check(shown.peers))

        self.until(so, what, node.show)

    def until_gone(self, kind: str, name: str) -> None:
        self.until(
            lambda: not self.get(kind, name),
            f"{kind} {name} is gone",
            lambda: self.get(kind, name),
        )

    def passes(self, agent: NodeAgent) -> int:
        """How many passes over Hubs an agent has finished since its start."""
        found = re.search(
            r'^controller_runtime_reconcile_total{controller="hub"} (\S+)$',
            agent.metrics(),
            re.MULTILINE,
        )
        return int(float(found[1])) if found else 0

    def compared(self, hub: str, times: int = 2) -> None:
        """Wait until everything was compared again, as often: what was to be done has been done."""
        for _ in range(times):
            stamp = self.touch(hub)

            def seen(stamp: str = stamp) -> bool:
                return bool(
                    self.status(hub, "Hub").get("lastResyncAt") == stamp
                )

            self.until(
                seen, f"Hub {hub} is compared", lambda: self.get("Hub", hub)
            )


def a_peer(
    name: str, hub: str, key: str, *allowed: str, **spec: Any
) -> Object:
    """A manifest of a Peer."""
    words = {
        "hubRef": {"name": hub},
        "publicKey": key,
        "allowedIPs": list(allowed),
        **spec,
    }
    return {"kind": "Peer", "metadata": {"name": name}, "spec": words}

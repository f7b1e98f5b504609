"""The WireGuard tunnels between the local relay's agent and its routers, in
two network namespaces.

In the node `hub` run agent and `cerebro tunnel`, in the node `routers` the
routers' ends; one cable joins them. The simulator stays outside: forwarders
lead from the tunnel addresses to its ports, and from 127.0.0.1 in the hub's
node to the API server and to the same ports, for Devices that somebody
declares to be reached directly.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from controlplane.processes import Process
from controlplane.server import ControlPlane
from local.settings import ADDRESS, NAMESPACE, Router, Settings
from local.supervisor import Supervisor
from network.node import Node, NodeError, link, supported

DIRECT = "CEREBRO_LOCAL_DIRECT"
HUB = "local"
HUB_ADDRESS, NETWORK_LENGTH = "10.64.0.1", 16
HUB_HOST, ROUTERS_HOST, LISTEN_PORT = "192.0.2.1", "192.0.2.2", 51820
ENDPOINT = f"{HUB_HOST}:{LISTEN_PORT}"
MOST_ROUTERS = 100
"""Each has a wireguard-go of its own."""
SETTLED = "120s"
_HACK = Path(__file__).parents[1]


def why_not(routers: int) -> str | None:
    """Say why so many routers are reached directly, without WireGuard; None
    where they need not be.
    """
    if os.environ.get(DIRECT, "") not in {"", "0"}:
        return f"{DIRECT} is set"
    if routers > MOST_ROUTERS:
        return f"{routers} routers are more than the {MOST_ROUTERS} that get a tunnel of their own"
    if (
        shutil.which("nft") is None
        and shutil.which("nft", path="/usr/sbin:/sbin") is None
    ):
        return "install the Debian package nftables, which keeps the routers apart"
    return supported()


class Tunnels:
    """The nodes and what runs in them. Closed after the supervisor has
    stopped.
    """

    def __init__(
        self, supervisor: Supervisor, settings: Settings, folder: Path
    ) -> None:
        self._supervisor, self._settings = supervisor, settings
        self._folder = folder / "tunnels"
        self._keys = {router.name: _key_pair() for router in settings.routers}
        self._hub, self._routers = (
            Node(name, folder / "log") for name in ("node-hub", "node-routers")
        )
        self._stack = ExitStack()

    def open(self, api_server_port: int) -> None:
        """Make the nodes, the cable and the ways in and out. Raises
        RuntimeError.
        """
        self._folder.mkdir(mode=0o700)
        try:
            for node in (self._hub, self._routers):
                self._stack.enter_context(node)
            link(
                self._hub,
                "eth0",
                f"{HUB_HOST}/24",
                self._routers,
                "eth0",
                f"{ROUTERS_HOST}/24",
            )
        except NodeError as error:
            raise RuntimeError(
                f"no tunnels ({DIRECT}=1 does without): {error}"
            ) from error
        for process in self._forwarders(api_server_port):
            self._supervisor.add(process)

    def close(self) -> None:
        """Remove the nodes, and with them all that is left in them; harmless
        when there are none.
        """
        self._stack.close()

    def in_hub(self, process: Process) -> Process:
        """Return the process such that it runs in the hub's node; its process
        id is still its own.
        """
        return replace(
            process, argv=tuple(self._hub.argv(process.argv, process.cwd))
        )

    def manifest(self) -> dict[str, Any]:
        """Return the Hub, as a person would apply it."""
        return {
            "apiVersion": "relay.cerebro.dev/v1alpha1",
            "kind": "Hub",
            "metadata": {"name": HUB, "namespace": NAMESPACE},
            "spec": {
                "nodeName": "local",
                "interface": "wg0",
                "listenPort": LISTEN_PORT,
                "addresses": [f"{HUB_ADDRESS}/{NETWORK_LENGTH}"],
                "endpoint": ENDPOINT,
                "resyncInterval": "30s",
            },
        }

    def public_key(self, router: str) -> str:
        """Return the router's public key, as it would show it."""
        return self._keys[router][1]

    def connect(self, plane: ControlPlane) -> None:
        """Let the routers dial, once Hub, Devices and their Peers are there:
        each then has all that it must know.

        Raises RuntimeError with what was waited for.
        """
        names = [f"device/{router.name}" for router in self._settings.routers]
        wait = ("wait", f"--namespace={NAMESPACE}", f"--timeout={SETTLED}")
        plane.kubectl(
            *wait,
            "--for=jsonpath={.status.publicKey}",
            f"hub/{HUB}",
            timeout=150,
        )
        plane.kubectl(
            *wait,
            "--for=jsonpath={.status.tunnelAddress}",
            *names,
            timeout=150,
        )
        plane.kubectl(
            *wait, "--for=jsonpath={.status.peerName}", *names, timeout=150
        )
        get = ("get", f"--namespace={NAMESPACE}", "--output=json")
        listed = json.loads(plane.kubectl(*get, "devices"))["items"]
        status = {
            one["metadata"]["name"]: one.get("status", {}) for one in listed
        }
        peers = [
            f"peer/{status[router.name]['peerName']}"
            for router in self._settings.routers
        ]
        plane.kubectl(*wait, "--for=condition=Applied", *peers, timeout=150)
        hub = json.loads(plane.kubectl(*get, f"hub/{HUB}"))
        given = {
            "hub": {
                "publicKey": hub["status"]["publicKey"],
                "address": HUB_ADDRESS,
                "endpoint": ENDPOINT,
            },
            "routers": [
                {
                    "privateKey": self._keys[router.name][0],
                    "address": status[router.name]["tunnelAddress"],
                    "socket": str(self._socket(router.port)),
                }
                for router in self._settings.routers
            ],
        }
        file = self._folder / "routers.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(given))
        argv = self._routers.argv(
            [sys.executable, "-m", "local.routers", file], _HACK
        )
        self._supervisor.add(Process("routers", tuple(argv), cwd=_HACK))

    def _forwarders(self, api_server_port: int) -> list[Process]:
        ports = [
            api_server_port,
            *(router.port for router in self._settings.routers),
        ]
        health = f"tcp:{ADDRESS}:{self._settings.agent_health_port}"
        outside = [
            f"unix:{self._socket(port)}=tcp:{ADDRESS}:{port}" for port in ports
        ]
        inside = [
            f"tcp:{ADDRESS}:{port}=unix:{self._socket(port)}" for port in ports
        ]
        outside.append(f"{health}=unix:{self._socket(0)}")
        inside.append(f"unix:{self._socket(0)}={health}")
        words = (sys.executable, "-m", "network.forward")
        return [
            Process("forward", (*words, *outside), cwd=_HACK),
            self.in_hub(Process("forward-hub", (*words, *inside), cwd=_HACK)),
        ]

    def _socket(self, port: int) -> Path:
        """Return the Unix socket that stands for a port; in the node's folder,
        as such paths must be short.
        """
        return self._hub.folder / str(port)


def device(router: Router, tunnels: Tunnels) -> dict[str, Any]:
    """Return the part of a Device's spec that says how it is reached; nothing
    of its address.
    """
    return {
        "hubRef": {"name": HUB},
        "publicKey": tunnels.public_key(router.name),
        "api": {"credentialsSecretRef": {"name": router.name}},
    }


def _key_pair() -> tuple[str, str]:
    """A private and a public key, from the foreign tool."""
    key = subprocess.run(
        ["wg", "genkey"], check=True, capture_output=True, text=True
    ).stdout.strip()
    public = subprocess.run(
        ["wg", "pubkey"], input=key, check=True, capture_output=True, text=True
    ).stdout.strip()
    return key, public

"""A place where Wi-Fi is sold: a Hub on the node, and a router that dials it through userspace WireGuard."""

from __future__ import annotations

import itertools
import json
import secrets
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from backend.billing import Billing
from backend.feed import Feed
from demo.stage import Stage
from e2e.installation import NODE, Installation, until
from integration.agent.router import Router
from integration.hub.plain import PlainRouter, make_keys
from local.settings import Router as DemoRouter
from network.node import Node

API = "relay.cerebro.dev/v1alpha1"
HUB, DEVICE, SERIAL = "hub", "bus-1", "SNBUS1"
NODE_ADDRESS, PORT = "10.90.0.1", 51820
HUB_ADDRESS = "10.64.0.1"
BACKEND = f"http://{NODE_ADDRESS}:18800"
"""Where the fake backend is, in the network that the node's address is in."""
_UPLINK = "uplink"
_CABLES = itertools.count(1)
"""Numbers of cables; the kernel takes one away some time after its namespace."""


class Uplink:
    """The network that the node's address is in; routers are plugged into it."""

    def plug(self, node: Node) -> str:
        """Give a router's namespace a cable and an address; return that."""
        number = next(_CABLES)
        address = f"10.90.0.{10 + number}"
        ours = f"site{number}"
        _ip("link", "add", ours, "type", "veth", "peer", "name", "wan")
        _ip("link", "set", "wan", "netns", str(node.pid))
        _ip("link", "set", ours, "master", _UPLINK, "up")
        node.run(["ip", "address", "add", f"{address}/24", "dev", "wan"])
        node.run(["ip", "link", "set", "wan", "up"])
        return address


class Site:
    """The Hub, the router's end of the tunnel, and its simulated RouterOS."""

    def __init__(
        self, installation: Installation, simulator: str, folder: Path
    ) -> None:
        self._installation, self._simulator = installation, simulator
        self._stack = ExitStack()
        self._keys = make_keys()
        self._password = secrets.token_urlsafe(18)
        self._folder = folder

    def open(self) -> None:
        """Declare Hub and Device, and let the router dial; it is reached."""
        body = {
            "name": DEVICE,
            "password": self._password,
            "serial": SERIAL,
        }
        made = httpx.post(f"{self._simulator}/routers", json=body, timeout=30)
        made.raise_for_status()
        self._stack.callback(
            httpx.delete, f"{self._simulator}/routers/{DEVICE}", timeout=30
        )
        self.router = Router(self._simulator, made.json())
        self._installation.apply(*self._manifests())

        until(self._declared, "Hub and Device have what a router must know")
        hub = self._installation.get("hub", HUB)
        device = self._installation.get("device", DEVICE)

        self.tunnel = self._stack.enter_context(
            PlainRouter(
                DEVICE,
                Uplink(),  # type: ignore[arg-type]  # it plugs as an Internet does
                "Userspace",
                self._folder,
                self._keys,
            )
        )
        self.tunnel.live_at(device["status"]["tunnelAddress"])
        self.tunnel.dial(
            hub["status"]["publicKey"], f"{NODE_ADDRESS}:{PORT}", keepalive=25
        )
        port = self.router.address_book["port"]
        self.tunnel.reach(port)
        self.tunnel.forward_api(port)
        self.tunnel.reaches(HUB_ADDRESS)
        self.is_ready()

    def stage(self, billing: Billing, feed: Feed) -> Stage:
        """Return the stage of the demo's story, here."""
        book = self.router.address_book
        router = DemoRouter(
            DEVICE, SERIAL, book["port"], book["user"], self._password
        )
        return Stage(
            self._installation.kubectl,
            self._simulator,
            router,
            billing,
            feed,
            began=time.monotonic(),
        )

    def is_ready(self) -> None:
        """Wait until the Device is Ready."""
        self._installation.kubectl(
            "wait",
            f"device/{DEVICE}",
            "--for=condition=Ready",
            "--timeout=120s",
        )

    def close(self) -> None:
        """Take the router away."""
        self._stack.close()

    def _declared(self) -> bool:
        hub = self._installation.get("hub", HUB).get("status", {})
        device = self._installation.get("device", DEVICE).get("status", {})
        return "publicKey" in hub and "tunnelAddress" in device

    def _manifests(self) -> list[dict[str, Any]]:
        user = self.router.address_book["user"]
        return [
            make_hub(),
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": DEVICE},
                "type": "relay.cerebro.dev/router",
                "stringData": {
                    "username": user,
                    "password": self._password,
                },
            },
            make_object(
                "Device",
                DEVICE,
                {
                    "hubRef": {"name": HUB},
                    "publicKey": self._keys.public,
                    "api": {"credentialsSecretRef": {"name": DEVICE}},
                },
            ),
        ]


def interfaces() -> set[str]:
    """Return the names of the node's interfaces."""
    listed = json.loads(_ip("-json", "link", "show"))
    return {link["ifname"] for link in listed}


def make_hub() -> dict[str, Any]:
    """Return the Hub of the node."""
    return make_object(
        "Hub",
        HUB,
        {
            "nodeName": NODE,
            "interface": "wg-e2e",
            "listenPort": PORT,
            "addresses": [f"{HUB_ADDRESS}/16"],
            "endpoint": f"{NODE_ADDRESS}:{PORT}",
        },
    )


def make_object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return one of our objects."""
    return {
        "apiVersion": API,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def _ip(*words: str) -> str:
    return subprocess.run(
        ["ip", *words], check=True, capture_output=True, text=True
    ).stdout

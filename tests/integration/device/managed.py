"""Routers that are reached through a tunnel of their own configuration, and Devices with `manageConfig`.

A router was set up by the pasted script, or by the older relay, both as they are or behind a firewall; its hotspot
has a phone with a live Session.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from cerebro.resources import Device, Hub
from cerebro.routeros.bootstrap import Tunnel, script, tunnel_of
from simulator.rights import ROOT
from simulator.router import Router
from support.console_router import ConsoleRouter
from support.live_devices import LiveDevices

KEY = "HBpm2pbhhD4IOi+0gMWZWCZ1ukQmzLhAcQCmH/mM/Hc="
OTHER_KEY = "IBpm2pbhhD4IOi+0gMWZWCZ1ukQmzLhAcQCmH/mM/Hc="
ENDPOINT = "192.0.2.1:51820"
ADDRESSES = ["10.8.0.1/16", "10.99.0.1/24"]
TUNNEL_ADDRESS = "10.8.0.7"
UNDO = "cerebro:main:undo"
MENUS = (
    "/interface/wireguard",
    "/interface/wireguard/peers",
    "/ip/address",
    "/ip/route",
    "/ip/firewall/filter",
    "/ip/service",
)

OLDER_RELAY = f"""
/interface wireguard add name=wg-relay comment="managed-by-relay"
/interface wireguard peers add interface=wg-relay public-key="{KEY}" allowed-address=10.8.0.0/16 \
endpoint-address=192.0.2.1 endpoint-port=51820 persistent-keepalive=25s comment="vps-peer"
/ip address add address=10.8.0.7/16 interface=wg-relay comment="relay-tunnel"
/ip firewall filter add chain=input action=accept in-interface=wg-relay comment="relay-allow-wg"
"""
"""As contract 6.2 has it, with allowed addresses that let the hub in."""

DROP_ALL = "/ip firewall filter add chain=input action=drop comment=mine"
ESTABLISHED = (
    "/ip firewall filter add chain=input action=accept connection-state=established,related comment=mine "
    "place-before=[:pick [find where chain=input] 0]"
)


Rows = dict[str, list[dict[str, str]]]
"""Rows by menu, in their order."""


FLAGS = {"true": "yes", "false": "no"}
COMPARED = {
    "address",
    "allowed-address",
    "action",
    "chain",
    "comment",
    "dst-address",
    "dst-port",
    "endpoint-address",
    "endpoint-port",
    "gateway",
    "in-interface",
    "interface",
    "mtu",
    "network",
    "persistent-keepalive",
    "protocol",
    "src-address",
}
LOOK_EVERY = 0.02
SILENCE = 1.5
"""Seconds after which the agent has given a dead connection up."""


def phone(number: int = 0) -> tuple[str, str]:
    """Return MAC and address of the phone behind a router."""
    return f"AA:BB:CC:00:00:{number:02X}", f"10.5.50.{number + 10}"


def tunnel() -> Tunnel:
    """Return the router's end of the tunnel that works."""
    hub = Hub.model_validate(
        {
            "metadata": {"name": "h"},
            "spec": {
                "nodeName": "n",
                "addresses": ADDRESSES,
                "endpoint": ENDPOINT,
            },
            "status": {"publicKey": KEY},
        }
    )
    device = Device.model_validate(
        {
            "metadata": {"name": "d"},
            "spec": {
                "hubRef": {"name": "h"},
                "tunnelAddress": TUNNEL_ADDRESS,
                "api": {"credentialsSecretRef": {"name": "s"}},
            },
        }
    )
    return tunnel_of(hub, device, installation="main")


async def paste(router: Router, source: str) -> None:
    """Run lines on a router as a person does."""
    job = router.scripts.run(source, ROOT)
    while not job.done:  # noqa: ASYNC110 - it runs in slices of this loop
        await asyncio.sleep(0)
    assert job.error is None, (job.error, source)


async def a_router(
    live: LiveDevices, name: str, kind: str = "pasted", **options: Any
) -> Router:
    """Return a router that its hub reaches; `kind` says who set it up, and how its firewall is."""
    way = {
        "hub": "10.8.0.1",
        "hub_key": KEY,
        "hub_endpoint": ENDPOINT,
        "tunnel_address": TUNNEL_ADDRESS,
    }
    router = await live.simulator.add_router(name, **way, **options)
    router.clock.advance(600)

    made_by, *firewall = kind.split("+")
    if made_by == "pasted":
        port = str(router.port)
        lines = [
            line.replace("dst-port=8728", f"dst-port={port}")
            for line in script(tunnel(), ("", ""))
        ]
        await paste(router, "\n".join(lines))
    else:
        await paste(router, OLDER_RELAY)

    if "drop" in firewall:
        await paste(router, DROP_ALL)
    if "established" in firewall:
        await paste(router, ESTABLISHED)
    if "listed" in firewall:
        await paste(
            router, "/ip service set [find where name=api] address=10.8.0.0/16"
        )

    router.look_at_way()
    assert router.way.refusal() is None, router.way.refusal()
    return router


def has_device(live: LiveDevices, router: Router, **spec: Any) -> None:
    """Create the Device of a router with `manageConfig`, or change it."""
    wanted = {
        "hubRef": {"name": f"h-{router.name}"},
        "tunnelAddress": TUNNEL_ADDRESS,
        "manageConfig": True,
        "resyncInterval": "1s",
        "circuitBreaker": {"recoveryTime": "1s", "failureThreshold": 1000},
        **spec,
    }
    live.has_device(router, api={"timeout": "1s"}, **wanted)


def has_hub(live: LiveDevices, router: Router, **changes: Any) -> None:
    """Create the Hub of a router, each its own, or change it."""
    wanted = {
        "public_key": KEY,
        "addresses": ADDRESSES,
        "endpoint": ENDPOINT,
        **changes,
    }
    live.has_hub(f"h-{router.name}", **wanted)


def rows(router: Router) -> Rows:
    """Return the configuration of a router, without what it makes itself; a flag that is off is as good as none."""
    return {
        menu: [
            {
                name: value
                for name, value in row.items()
                if (name, value) != ("disabled", "false")
            }
            for row in router.show(menu)
            if row.get("dynamic") != "true"
        ]
        for menu in MENUS
    }


async def turn(router: Router, seconds: float) -> None:
    """Turn the router's clock; what is due runs."""
    router.clock.advance(seconds)
    router.settle()
    while router.scripts.jobs.busy:  # noqa: ASYNC110 - it runs in slices of this loop
        await asyncio.sleep(0)
    router.look_at_way()


def armed(router: Router) -> bool:
    """Return whether an undo is on the router."""
    schedulers = router.show("/system/scheduler")
    return any(row.get("comment") == UNDO for row in schedulers)


async def cut_off(router: Router) -> None:
    """Wait until the hub does not get through any more, and the agent has seen that its connection is dead."""
    while router.way.refusal() is None:  # noqa: ASYNC110 - it is the router's state
        await asyncio.sleep(LOOK_EVERY)
    await asyncio.sleep(SILENCE)


def different(before: Rows, after: Rows) -> list[object]:
    """Return the rows that are not as before, in both forms."""
    return [
        pair
        for menu in before
        for pair in itertools.zip_longest(before[menu], after[menu])
        if pair[0] != pair[1]
    ]


def double(router: Router) -> ConsoleRouter:
    """Return the console double with the rows of a router."""
    console = ConsoleRouter(last_id=100)
    for menu in (*MENUS, "/ip/hotspot"):
        console.tables[menu] = [
            {"dynamic": "no"}
            | {name: FLAGS.get(text, text) for name, text in row.items()}
            for row in router.show(menu)
            if row.get("dynamic") != "true"
        ]
    return console


def told(found: dict[str, list[dict[str, Any]]], router: Router) -> Rows:
    """Return what rows say of the tunnel, whichever router and console they are of."""
    names = {str(router.port): "PORT", router.name: "NAME"}
    off = ("", "no", "false")
    compared: Rows = {}

    for menu in MENUS:
        compared[menu] = [
            {
                name: " ".join(names.get(word, word) for word in text.split())
                for name, text in row.items()
                if name in COMPARED and text not in off
            }
            for row in found[menu]
        ]

    return compared


def plan(live: LiveDevices, name: str) -> list[str]:
    """Return the plan of a Device in dry run."""
    device = live.device(name)
    return (device.status.plan or []) if device else []


def warnings(live: LiveDevices, router: Router) -> str:
    """Return the message of the Device's Ready."""
    return live.ready("Device", router.name)["message"]

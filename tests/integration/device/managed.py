"""Routers that are reached through a tunnel of their own configuration, and Devices with `manageConfig`.

A router was set up by the pasted script, or by the older relay, both as they are or behind a firewall; its hotspot
has a phone with a live Session.
"""

from __future__ import annotations

from typing import Any

from cerebro.resources import Device, Hub
from cerebro.routeros.bootstrap import Tunnel, script, tunnel_of
from simulator.rights import ROOT
from simulator.router import Router
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


def paste(router: Router, source: str) -> None:
    """Run lines on a router as a person does."""
    job = router.scripts.run(source, ROOT)
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
        paste(router, "\n".join(lines))
    else:
        paste(router, OLDER_RELAY)

    if "drop" in firewall:
        paste(router, DROP_ALL)
    if "established" in firewall:
        paste(router, ESTABLISHED)
    if "listed" in firewall:
        paste(
            router, "/ip service set [find where name=api] address=10.8.0.0/16"
        )

    router.look_at_way()
    assert router.way.refusal() is None
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


def rows(router: Router) -> dict[str, list[dict[str, str]]]:
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


def armed(router: Router) -> bool:
    """Return whether an undo is on the router."""
    schedulers = router.show("/system/scheduler")
    return any(row.get("comment") == UNDO for row in schedulers)


def warnings(live: LiveDevices, router: Router) -> str:
    """Return the message of the Device's Ready."""
    return live.ready("Device", router.name)["message"]

"""Whether a router's own rows let its hub in, through the tunnel, to the API."""

from __future__ import annotations

import asyncio

import pytest

from simulator.errors import Trap
from simulator.options import RouterOptions
from simulator.rights import ROOT
from simulator.router import Router

KEY = "HBpm2pbhhD4IOi+0gMWZWCZ1ukQmzLhAcQCmH/mM/Hc="
PEER = "/interface wireguard peers"
RULE = "/ip firewall filter add chain=input"
FIRST = "place-before=[:pick [/ip firewall filter find] 0]"

ESTABLISHED_ALONE = (
    f"{RULE} action=accept connection-state=established,related {FIRST}; "
    "/ip firewall filter set [find where src-address=10.8.0.1] disabled=yes"
)


@pytest.fixture
async def hub_router() -> Router:
    """A router that its hub reaches; it needs an event loop, and listens nowhere."""
    made = Router(
        RouterOptions(
            "r1",
            hub="10.8.0.1",
            hub_key=KEY,
            hub_endpoint="192.0.2.1:51820",
            tunnel_address="10.8.0.7",
        )
    )
    made.up = True
    made.port = 8728
    await run(
        made,
        "/interface wireguard add name=wg",
        f'{PEER} add interface=wg public-key="{KEY}" allowed-address=10.8.0.0/16 endpoint-address=192.0.2.1 '
        "endpoint-port=51820",
        "/ip address add address=10.8.0.7/16 interface=wg",
        f"{RULE} action=accept in-interface=wg src-address=10.8.0.1 protocol=tcp dst-port=8728",
        f"{RULE} action=drop",
    )
    assert made.way.refusal() is None
    assert made.way.is_open
    return made


async def run(router: Router, *lines: str) -> None:
    for line in lines:
        job = router.scripts.run(line, ROOT)
        while not job.done:  # noqa: ASYNC110 - it runs in slices of this loop
            await asyncio.sleep(0)
        assert job.error is None, (job.error, line)
    router.look_at_way()


@pytest.mark.parametrize(
    "line",
    [
        "/interface wireguard set wg disabled=yes",
        "/interface wireguard remove wg",
        f"{PEER} set [find] endpoint-port=1",
        f"{PEER} set [find] endpoint-address=192.0.2.9",
        f"{PEER} set [find] allowed-address=10.9.0.0/16",
        f"{PEER} set [find] disabled=yes",
        f"{PEER} remove [find]",
        "/ip address set [find where interface=wg] address=10.8.0.8/16",
        "/ip address remove [find where interface=wg]",
        "/ip route add dst-address=10.8.0.1 gateway=192.168.88.254",
        "/ip firewall filter set [find where action=accept] dst-port=22",
        "/ip firewall filter set [find where action=accept] src-address=10.8.0.2",
        "/ip firewall filter set [find where action=accept] in-interface=!wg",
        "/ip firewall filter set [find where action=accept] disabled=yes",
        "/ip firewall filter move [find where action=accept]",
        f"{RULE} action=reject src-address=10.8.0.0/24 {FIRST}",
        f"{RULE} action=jump jump-target=shut {FIRST}; /ip firewall filter add chain=shut action=drop",
    ],
)
async def test_what_shuts_the_hub_out(hub_router: Router, line: str) -> None:
    await run(hub_router, *line.split("; "))
    assert hub_router.way.refusal() is not None
    assert not hub_router.way.is_open
    assert hub_router.faults.silent


@pytest.mark.parametrize(
    "line",
    [
        "/ip service set api disabled=yes",
        "/ip service set api address=10.8.0.2/32",
        "/ip service set api port=9000",
        ESTABLISHED_ALONE,
    ],
)
async def test_what_shuts_new_connections_out_alone(
    hub_router: Router, line: str
) -> None:
    await run(hub_router, *line.split("; "))
    assert hub_router.way.refusal() is not None
    assert hub_router.way.is_open


@pytest.mark.parametrize(
    "line",
    [
        "/interface wireguard set wg name=renamed",
        "/ip service set api address=192.168.88.0/24,10.8.0.0/16",
        "/ip firewall filter set [find where action=accept] dst-port=22,8000-9000",
        f"{RULE} action=drop protocol=udp {FIRST}",
        f"{RULE} action=drop src-port=1 {FIRST}",
        "/ip route add dst-address=10.0.0.0/8 gateway=192.168.88.254",
    ],
)
async def test_what_leaves_the_way_open(hub_router: Router, line: str) -> None:
    await run(hub_router, line)
    assert hub_router.way.refusal() is None
    assert hub_router.way.is_open


async def test_what_names_an_interface_follows_its_new_name(
    hub_router: Router,
) -> None:
    await run(hub_router, "/interface wireguard set wg name=renamed")
    shown = [
        *hub_router.show("/ip/address"),
        *hub_router.show("/interface/wireguard/peers"),
        *hub_router.show("/ip/firewall/filter"),
    ]
    names = [row.get("interface", row.get("in-interface")) for row in shown]
    assert names == ["bridge", "renamed", "renamed", "renamed", None]


async def test_it_opens_again_when_the_rows_do(hub_router: Router) -> None:
    await run(hub_router, f"{PEER} set [find] disabled=yes")
    assert not hub_router.way.is_open
    await run(hub_router, f"{PEER} set [find] disabled=no")
    assert hub_router.way.is_open
    assert not hub_router.faults.silent


def test_an_address_knows_its_network_and_is_there_once(
    router: Router,
) -> None:
    table = router.tables["/ip/address"]
    row = table.add({"address": "10.8.0.7/16", "interface": "bridge"})
    assert row.values["network"] == "10.8.0.0"
    with pytest.raises(Trap, match="already have such address"):
        table.add({"address": "10.8.0.7/16", "interface": "ether1"})
    table.set(row, {"address": "10.9.0.7/16"})
    assert row.values["network"] == "10.8.0.0"


def test_without_a_hub_the_way_is_open(router: Router) -> None:
    assert router.way.refusal() is None
    router.look_at_way()
    assert router.way.is_open

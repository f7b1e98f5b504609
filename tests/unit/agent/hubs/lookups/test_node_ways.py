"""What a node reaches outside of tunnels (rule E17), out of its files. Names are resolved by a few lines."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import pytest

from cerebro.agent.hubs.lookups import node_ways
from cerebro.agent.hubs.lookups.node_ways import (
    NodeWays,
    gateways_4,
    gateways_6,
    name_servers,
)

RESOLV_CONF = """# made by hand
search example.net
nameserver 192.0.2.53
nameserver fe80::1%eth0
nameserver 2001:db8::53 # the second
options ndots:5
"""
ROUTES_4 = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
wg9\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
wg9\t00000000\t0102000A\t0003\t0\t0\t0\t00000080\t0\t0\t0
"""
NOWHERE = "0" * 32
ROUTES_6 = f"""{NOWHERE} 00 {NOWHERE} 00 20010db8000000000000000000000001 00000400 00000002 00000000 00000003     eth0
20010db8000000000000000000000000 40 {NOWHERE} 00 {NOWHERE} 00000100 00000001 00000000 00000001     eth0
{NOWHERE} 00 {NOWHERE} 00 {NOWHERE} ffffffff 00000001 00000000 00200200       lo
"""


def test_name_servers_of_a_resolv_conf() -> None:
    assert list(name_servers(RESOLV_CONF)) == [
        "192.0.2.53",
        "fe80::1",
        "2001:db8::53",
    ]


@pytest.mark.skipif(sys.byteorder != "little", reason="as the text is")
def test_gateways_of_default_routes_alone() -> None:
    assert list(gateways_4(ROUTES_4)) == ["192.0.2.1", "0.0.0.0"]
    assert list(gateways_6(ROUTES_6)) == ["2001:db8::1", "::"]


@pytest.fixture(autouse=True)
def _files(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"resolv.conf": RESOLV_CONF, "ipv6_route": ROUTES_6}
    monkeypatch.setattr(
        node_ways, "_text_of", lambda path: texts.get(path.name, "")
    )


FILES = {
    "192.0.2.53": "a name server of the node",
    "fe80::1": "a name server of the node",
    "2001:db8::53": "a name server of the node",
    "2001:db8::1": "the node's default gateway",
}


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (
            "https://192.0.2.250:6443",
            {**FILES, "192.0.2.250": "the API server"},
        ),
        (
            "https://[2001:DB8::fa]",
            {**FILES, "2001:db8::fa": "the API server"},
        ),
        ("https://127.0.0.1:6443", FILES),
    ],
)
async def test_e17_where_the_nodes_own_ways_lead(
    server: str, expected: dict[str, str]
) -> None:
    """Nothing leads to an address that is the node itself."""
    ways = NodeWays(server, lambda: None)
    assert await ways.look_up(refresh=False) == expected


async def test_e17_all_addresses_of_the_api_servers_name_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also the first time; a name server that is away later takes none of them back."""
    known = ["192.0.2.250", "192.0.2.251"]

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [
            (socket.AF_INET, socket.SOCK_DGRAM, 17, "", (address, port))
            for address in known
        ]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    ways = NodeWays("https://api.example:6443", lambda: None)
    both = dict.fromkeys(known, "the API server")
    assert await ways.look_up(refresh=False) == FILES | both
    known.clear()
    await ways.look_up(refresh=True)
    await asyncio.sleep(0)
    assert await ways.look_up(refresh=False) == FILES | both
    ways.close()

"""Tunnels, routes, the filter, the scheduler and safe mode over a raw
connection.
"""

import asyncio
import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from integration.simulator.conftest import Connect, MakeRouter
from integration.simulator.wire import Wire
from simulator import Router, SimulatorControl

INTERFACE = "/interface/wireguard"
PEERS = "/interface/wireguard/peers"
LIST = "/ip/firewall/address-list"
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(1, 33))).decode()


async def shown(wire: Wire, path: str, *words: str) -> dict[str, str]:
    (row,) = (await wire.ask(f"{path}/print", *words)).rows
    return row


async def add_tunnels(wire: Wire) -> None:
    """Add the interfaces wg1 and wg2, and a peer of wg1."""
    for name in ("wg1", "wg2"):
        await wire.ask(f"{INTERFACE}/add", f"=name={name}")
    answer = await wire.ask(
        f"{PEERS}/add",
        "=interface=wg1",
        f"=public-key={KEY}",
        "=allowed-address=10.77.0.2,fd00::2/128,10.78.0.0/16",
    )
    assert answer.traps == []


async def test_an_interface_makes_its_own_key_and_port(wire: Wire) -> None:
    await add_tunnels(wire)
    rows = (await wire.ask(f"{INTERFACE}/print")).rows
    assert [row["listen-port"] for row in rows] == ["13231", "13232"]
    for row in rows:
        raw = base64.b64decode(row["private-key"])
        public = X25519PrivateKey.from_private_bytes(raw).public_key()
        wanted = base64.b64encode(public.public_bytes_raw()).decode()
        assert row["public-key"] == wanted


async def test_the_key_of_a_peer_is_unique_on_the_router(wire: Wire) -> None:
    """Point 37: also across interfaces."""
    await add_tunnels(wire)
    again = [
        f"{PEERS}/add",
        "=interface=wg2",
        "=allowed-address=10.77.0.3",
    ]
    answer = await wire.ask(*again, f"=public-key={KEY}")
    assert answer.traps == [(None, "failure: entry already exists")]
    answer = await wire.ask(*again, f"=public-key={OTHER_KEY}")
    assert answer.traps == []
    answer = await wire.ask(f"{PEERS}/set", "=.id=peer2", f"=public-key={KEY}")
    assert answer.traps == [(None, "failure: entry already exists")]
    answer = await wire.ask(*again, "=public-key=short")
    assert answer.traps == [("1", "invalid value for argument public-key")]


async def test_what_a_peer_shows_follows_its_traffic(
    wire: Wire, router: Router, connect: Connect
) -> None:
    """Points 36, 37: absent or zero before the handshake, and after a reboot."""
    await add_tunnels(wire)
    volatile = {
        "rx",
        "tx",
        "last-handshake",
        "current-endpoint-address",
        "current-endpoint-port",
    }
    before = await shown(wire, PEERS)
    assert {n: before[n] for n in volatile & before.keys()} == {
        "rx": "0",
        "tx": "0",
    }

    for _ in range(2):
        router.network.tunnel(KEY, "198.51.100.7:51820", received=100, sent=5)
    router.clock.advance(65)
    row = await shown(wire, PEERS)
    assert row["last-handshake"].startswith("1m")
    assert {n: row[n] for n in volatile - {"last-handshake"}} == {
        "rx": "200",
        "tx": "10",
        "current-endpoint-address": "198.51.100.7",
        "current-endpoint-port": "51820",
    }

    router.reboot(0)
    while not router.up:  # noqa: ASYNC110 - the boot is a timer of the loop
        await asyncio.sleep(0.01)
    again = await (await connect(router)).login()
    assert (await shown(again, PEERS)).keys() == before.keys()


async def test_hosts_keep_their_mask_in_peers_and_lose_it_in_lists(
    wire: Wire,
) -> None:
    """Point 28."""
    await add_tunnels(wire)
    row = await shown(wire, PEERS)
    assert row["allowed-address"] == "10.77.0.2/32,fd00::2/128,10.78.0.0/16"
    await wire.ask(f"{LIST}/add", "=list=a", "=address=10.77.0.2/32")
    assert (await shown(wire, LIST))["address"] == "10.77.0.2"


async def test_keys_of_tunnels_are_masked(
    wire: Wire, router: Router, control: SimulatorControl, connect: Connect
) -> None:
    """Point 38: the secrets of interfaces and peers."""
    await add_tunnels(wire)
    await wire.ask(f"{PEERS}/set", "=.id=peer1", f"=preshared-key={OTHER_KEY}")
    await control.add_row(
        router.name, "/user/group", name="some", policy="api,read"
    )
    await control.add_row(
        router.name, "/user", name="u", password="p", group="some"
    )
    limited = await (await connect(router)).login("u", "p")
    rows = (await limited.ask(f"{INTERFACE}/print")).rows
    assert [row["private-key"] for row in rows] == ["*****"] * 2
    assert (await shown(limited, PEERS))["preshared-key"] == "*****"
    assert (await shown(wire, PEERS))["preshared-key"] == OTHER_KEY


async def test_a_removed_interface_leaves_its_id_in_its_peers(
    wire: Wire,
) -> None:
    """Point 24."""
    await add_tunnels(wire)
    interface = await shown(wire, INTERFACE, "?name=wg1")
    await wire.ask(f"{INTERFACE}/remove", "=.id=wg1")
    assert (await shown(wire, PEERS))["interface"] == interface[".id"]


@pytest.mark.parametrize(
    ("path", "words", "values"),
    [
        (
            "/ip/firewall/filter",
            ["=chain=forward", "=protocol=tcp"],
            {"chain": "forward", "action": "accept", "protocol": "tcp"},
        ),
        (
            "/ip/route",
            ["=dst-address=10.9.0.1", "=gateway=10.0.0.1"],
            {
                "dst-address": "10.9.0.1/32",
                "gateway": "10.0.0.1",
                "static": "true",
            },
        ),
    ],
)
async def test_the_filter_and_routes_hide_their_defaults(
    wire: Wire, path: str, words: list[str], values: dict[str, str]
) -> None:
    """Point 27: `disabled` and the like are absent until written."""
    row_id = (await wire.ask(f"{path}/add", *words)).ret
    assert await shown(wire, path) == {".id": row_id} | values
    await wire.ask(f"{path}/disable", f"=.id={row_id}")
    assert (await shown(wire, path))["disabled"] == "true"


async def test_device_mode_forbids_schedulers_and_the_enabling_of_hotspots(
    make_router: MakeRouter, connect: Connect
) -> None:
    """Point 43."""
    router = await make_router(
        device_mode_scheduler=False, device_mode_hotspot=False
    )
    wire = await (await connect(router)).login()
    refused = [(None, "failure: not allowed by device-mode")]
    answer = await wire.ask("/system/scheduler/add", "=name=s")
    assert answer.traps == refused
    server = await shown(wire, "/ip/hotspot")
    await wire.ask("/ip/hotspot/disable", f"=.id={server['.id']}")
    for words in (
        ["/ip/hotspot/enable"],
        ["/ip/hotspot/set", "=disabled=no"],
    ):
        answer = await wire.ask(*words, f"=.id={server['.id']}")
        assert answer.traps == refused


async def change_all(wire: Wire) -> None:
    """Change, remove and add a row of a list that has the rows 1 and 2."""
    first, second = (
        row[".id"] for row in (await wire.ask(f"{LIST}/print")).rows
    )
    await wire.ask(f"{LIST}/set", f"=.id={first}", "=comment=changed")
    await wire.ask(f"{LIST}/remove", f"=.id={second}")
    await wire.ask(f"{LIST}/add", "=list=a", "=address=10.0.0.3")
    await wire.ask(
        "/user/group/set", "=.id=read", "=policy=api,read,write,ftp"
    )
    await wire.ask("/system/identity/set", "=name=changed")


def state(router: Router) -> list[object]:
    groups = [
        {**row, "policy": sorted(row["policy"].split(","))}
        for row in router.show("/user/group")
    ]
    return [router.show(LIST), groups, router.show("/system/identity")]


async def test_safe_mode_undoes_what_its_lost_session_has_changed(
    router: Router, wire: Wire, connect: Connect
) -> None:
    """Point 45: and what others have; not before the time is over."""
    for number in (1, 2):
        await wire.ask(f"{LIST}/add", "=list=a", f"=address=10.0.0.{number}")
    before = state(router)
    holder = await (await connect(router)).login()
    await holder.ask("/safe-mode/take")
    assert await shown(wire, "/safe-mode") == {
        "enabled": "true",
        "user": "cerebro",
    }
    await change_all(wire)
    changed = state(router)
    assert changed != before

    holder.writer.transport.abort()
    while len(router.sessions) > 1:
        await wire.ask("/system/identity/print")
    router.clock.advance(500)
    assert state(router) == changed
    router.clock.advance(41)
    assert state(router) == before
    assert await shown(wire, "/safe-mode") == {"enabled": "false"}
    answer = await wire.ask(f"{LIST}/add", "=list=a", "=address=10.0.0.2")
    assert answer.traps == [(None, "failure: already have such entry")]


async def test_safe_mode_released_keeps_the_changes(
    router: Router, wire: Wire, connect: Connect
) -> None:
    """Point 45: a release comes from any session; so does an unroll."""
    for number in (1, 2):
        await wire.ask(f"{LIST}/add", "=list=a", f"=address=10.0.0.{number}")
    holder = await (await connect(router)).login()
    await holder.ask("/safe-mode/take")
    answer = await wire.ask("/safe-mode/take", "=on-error=abort")
    assert len(answer.traps) == 1
    await change_all(wire)
    changed = state(router)
    await wire.ask("/safe-mode/release")
    await holder.close()
    router.clock.advance(1000)
    assert state(router) == changed

    await wire.ask("/safe-mode/toggle")
    await change_all(wire)
    await wire.ask("/safe-mode/unroll")
    assert state(router) == changed


async def test_safe_mode_ends_behind_a_hundred_changes(
    router: Router, wire: Wire
) -> None:
    """Reference 7.1: then nothing is undone."""
    await wire.ask("/safe-mode/take")
    for number in range(101):
        await wire.ask(f"{LIST}/add", "=list=a", f"=address=10.1.0.{number}")
    assert await shown(wire, "/safe-mode") == {"enabled": "false"}
    assert len(router.show(LIST)) == 101


async def test_safe_mode_is_no_menu_before_7_18(
    make_router: MakeRouter, connect: Connect
) -> None:
    """Points 44, 45."""
    wire = await (await connect(await make_router(version="7.17"))).login()
    for verb in ("take", "print"):
        answer = await wire.ask(f"/safe-mode/{verb}")
        assert answer.traps == [(None, "no such command prefix")]

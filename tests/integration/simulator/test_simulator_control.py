"""The control port through its own client, and the program as a process."""

import asyncio
import base64
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from integration.simulator.wire import Wire
from simulator import ControlError, Router, Simulator, SimulatorControl

MAC, IP = "AA:BB:CC:00:00:01", "10.5.50.9"
HOST = "/ip/hotspot/host"
BINDING = "/ip/hotspot/ip-binding"


async def test_routers_come_and_go(
    simulator: Simulator, control: SimulatorControl
) -> None:
    assert await control.health()
    made = await control.add_router(
        "gate",
        user="u",
        password="p",
        serial="S1",
        identity="gate",
        access="list",
    )
    assert made["port"] > 0
    assert await control.routers() == [made]
    assert simulator.routers["gate"].options.access == "list"
    with pytest.raises(ControlError, match="already"):
        await control.add_router("gate")
    with pytest.raises(ControlError, match="unknown field colour"):
        await control.add_router("x", colour="red")
    wire = await (await Wire.connect(made["port"])).login("u", "p")
    assert (await control.router("gate"))["api_sessions"] == 1
    await control.remove_router("gate")
    assert await wire.texts() == ["closed"]
    assert await control.routers() == []
    with pytest.raises(ControlError) as caught:
        await control.router("gate")
    assert caught.value.status == 404


async def test_a_client_in_and_out(
    router: Router, control: SimulatorControl
) -> None:
    name = router.name
    assert await control.move_in(name, MAC.lower(), IP) == {
        "mac": MAC,
        "ip": IP,
    }
    assert await control.table(name, HOST) == []
    assert await control.packet(name, MAC) == {
        "forwarded": False,
        "reason": "rejected: the host is not authorized",
    }
    binding = await control.add_row(
        name, BINDING, mac_address=MAC, type="bypassed", disabled=False
    )
    with pytest.raises(ControlError) as caught:
        await control.wait(name, MAC, forwarded=True, timeout=0.05)
    assert caught.value.status == 408
    (host,) = await control.table(name, HOST)
    await control.remove_row(name, HOST, host[".id"])
    assert await control.wait(name, MAC, forwarded=True, timeout=5) >= 0
    assert await control.forwarded(name, MAC, "film")
    await control.set_row(name, BINDING, binding, type="blocked")
    assert await control.forwarded(name, MAC)
    await control.move_in(name, MAC, "10.5.50.10")
    assert not await control.forwarded(name, MAC, "film")
    assert await control.clients(name) == [{"mac": MAC, "ip": "10.5.50.10"}]
    await control.move_out(name, MAC)
    with pytest.raises(ControlError, match="no client"):
        await control.packet(name, MAC)


async def test_login_as_the_portal_would(
    router: Router, control: SimulatorControl
) -> None:
    name = router.name
    await control.move_in(name, MAC, IP)
    await control.add_row(name, "/ip/hotspot/user", name="u", password="p")
    with pytest.raises(ControlError, match="invalid username or password"):
        await control.login(name, MAC, "u", "wrong")
    row = await control.login(name, MAC, "u", "p")
    assert (row["user"], row["address"], row["login-by"]) == (
        "u",
        IP,
        "http-chap",
    )
    assert len(await control.table(name, "/ip/hotspot/cookie")) == 1
    assert await control.forwarded(name, MAC)


async def test_many_rows_at_once_and_errors_of_rows(
    router: Router, control: SimulatorControl
) -> None:
    rows = [
        {"list": "a", "address": f"10.1.{n >> 8}.{n & 255}"}
        for n in range(1000)
    ]
    ids = await control.add_rows(
        router.name, "/ip/firewall/address-list", rows
    )
    assert len(set(ids)) == 1000
    with pytest.raises(ControlError, match="already have such entry"):
        await control.add_rows(
            router.name, "/ip/firewall/address-list", rows[:1]
        )
    with pytest.raises(ControlError, match="no such item"):
        await control.remove_row(router.name, BINDING, "*77")
    with pytest.raises(ControlError, match="no menu '/nonsense'"):
        await control.table(router.name, "/nonsense")
    await control.set_row(router.name, "/system/identity", "", name="gate")
    assert await control.table(router.name, "/system/identity") == [
        {"name": "gate"}
    ]


async def test_the_log_has_every_command_and_no_password(
    router: Router, wire: Wire, control: SimulatorControl
) -> None:
    await wire.ask(
        "/user/add", "=name=x", "=group=full", "=password=topsecret"
    )
    await wire.ask(f"{BINDING}/remove", "=.id=*7")
    entries = await control.log(router.name)
    assert [entry["outcome"] for entry in entries] == [
        "done",
        "done",
        "trap: no such item",
    ]
    assert entries[1]["sentence"] == [
        "/user/add",
        "=name=x",
        "=group=full",
        "=password=*****",
    ]
    assert "secret" not in json.dumps(entries)
    assert await control.log(router.name, since=entries[1]["n"]) == entries[2:]
    counters = (await control.router(router.name))["counters"]
    assert counters == {"commands": 2, "writes": 2, "logins": 1}


async def test_the_clock_can_be_pushed(
    router: Router, control: SimulatorControl
) -> None:
    path = "/ip/firewall/address-list"
    await control.add_row(
        router.name, path, list="a", address="10.0.0.1", timeout="1h"
    )
    await control.advance_clock(router.name, 3601)
    assert await control.table(router.name, path) == []


async def test_a_tunnel_peer_shakes_hands(
    router: Router, control: SimulatorControl
) -> None:
    """Point 36: before that its figures are zero, and the endpoint is absent."""
    name, interface = router.name, "/interface/wireguard"
    key = base64.b64encode(bytes(range(32))).decode()
    await control.add_row(name, interface, name="wg1")
    await control.add_row(
        name,
        f"{interface}/peers",
        interface="wg1",
        public_key=key,
        allowed_address="10.77.0.2/32",
    )

    for _ in range(2):
        await control.tunnel(
            name, key, "198.51.100.7:51820", received=100, sent=5
        )

    (peer,) = await control.table(name, f"{interface}/peers")
    assert peer["rx"] == "200"
    assert peer["tx"] == "10"
    assert peer["current-endpoint-address"] == "198.51.100.7"
    assert peer["current-endpoint-port"] == "51820"
    assert "last-handshake" in peer

    with pytest.raises(ControlError, match="no peer has nobody") as caught:
        await control.tunnel(name, "nobody", "198.51.100.7:51820")
    assert caught.value.status == 404


async def test_two_routers_change_places(
    router: Router, control: SimulatorControl
) -> None:
    other = await control.add_router("other", serial="S2")
    swapped = await control.swap(router.name, "other")
    assert swapped["port"] == other["port"]

    wire = await (await Wire.connect(other["port"])).login()
    board = (await wire.ask("/system/routerboard/print")).rows[0]
    assert board["serial-number"] == router.options.serial

    with pytest.raises(ControlError, match="no router 'nobody'"):
        await control.swap(router.name, "nobody")


async def test_as_a_program(tmp_path: Path) -> None:
    """Real process: ready line, port file, end on SIGTERM."""
    hack = Path(__file__).parents[3] / "hack"
    ports = tmp_path / "ports.json"
    options = [
        "--control",
        "127.0.0.1:0",
        "--router",
        "name=gate,port=0,serial=S1",
        "--routers",
        "2",
    ]
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "simulator",
            *options,
            "--port-file",
            str(ports),
        ),
        env=os.environ | {"PYTHONPATH": str(hack)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        lines = [
            (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
            for _ in range(4)
        ]
        assert lines[-1].startswith("ready control=http://127.0.0.1:")
        book = json.loads(ports.read_text())
        assert [router["name"] for router in book["routers"]] == [
            "gate",
            "r1",
            "r2",
        ]
        async with SimulatorControl(book["control"]) as control:
            assert await control.routers() == book["routers"]
        wire = await (await Wire.connect(book["routers"][2]["port"])).login()
        assert (await wire.ask("/system/identity/print")).rows == [
            {"name": "r2"}
        ]
        await wire.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 120) == 0


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("port", "expects name=value"),
        ("name=a,colour=red", "unknown option 'colour'"),
        ("port=1", "name: required"),
    ],
)
async def test_wrong_options_are_named(option: str, text: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "simulator", "--router", option),
        env=os.environ
        | {"PYTHONPATH": str(Path(__file__).parents[3] / "hack")},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 2
    assert text in errors.decode()

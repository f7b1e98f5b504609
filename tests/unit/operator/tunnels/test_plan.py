"""What a Device gets: address and Peer, by the plan, played on a store."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from cerebro.operator.tunnels.controller import BATCH
from cerebro.resources import DEVICE
from support.peers_server import OTHER_KEY, Body, Server


@pytest.fixture
def server() -> Server:
    made = Server()
    made.hub("10.0.0.1/24")
    return made


async def test_device_gets_address_and_peer_and_then_nothing_is_written(
    server: Server,
) -> None:
    server.device("r1", lanNetworks=["192.168.0.0/24"])
    await server.settle()
    address = server.addresses()["r1"]
    assert server.objects["Device", "r1"]["status"] == {
        "tunnelAddress": address,
        "peerName": "r1",
    }
    peer = server.objects["Peer", "r1"]
    assert peer["spec"]["allowedIPs"] == [f"{address}/32", "192.168.0.0/24"]
    assert peer["metadata"]["finalizers"] == ["relay.cerebro.dev/interface"]
    assert (
        peer["metadata"]["ownerReferences"][0]["uid"]
        == server.objects["Device", "r1"]["metadata"]["uid"]
    )
    server.writes.clear()
    server.peers.begin()
    server.put(
        "Device",
        "r1",
        status={**server.objects["Device", "r1"]["status"], "identity": "x"},
    )
    await server.settle()
    assert server.writes == []


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("failing", range(1, 4))
async def test_e9_a_write_without_an_answer_gives_no_second_address(
    server: Server, failing: int, seen: bool
) -> None:
    """An address is promised before the first write: it is nobody else's, and not another one on the next try."""
    for number in range(100):
        server.device(f"r{number}")
    server.failing, server.seen_after_failure = failing, seen
    await server.settle()
    found = server.addresses()
    assert len(set(found.values())) == len(found) == 100
    assert {name: server.allowed(name)[0] for name in found} == {
        name: f"{one}/32" for name, one in found.items()
    }


async def test_e9_a_rebuild_in_another_order_arrives_at_the_same_addresses() -> (
    None
):
    runs = []
    for seed in range(3):
        server = Server()
        names = [f"r{number}" for number in range(250)]
        random.Random(seed).shuffle(names)
        for name in names:
            server.device(name)
        server.hub("10.0.0.1/24")
        await server.settle()
        runs.append(server.addresses())
    assert len(runs[0]) == 250
    assert runs[0] == runs[1] == runs[2]


async def test_e9_pins_are_avoided_and_win_over_later_ones(
    server: Server,
) -> None:
    server.hub("10.0.0.1/29")
    for number in range(4):
        server.device(f"r{number}")
    server.device("pinned", tunnelAddress="10.0.0.5")
    await server.settle()
    assert server.addresses()["pinned"] == "10.0.0.5"
    assert len(set(server.addresses().values())) == 5
    server.device("late", tunnelAddress="10.0.0.5")
    await server.settle()
    assert server.ready("late") == "TunnelAddressConflict"
    assert ("Peer", "late") not in server.objects
    server.gone("Device", "pinned")
    await server.settle()
    assert "late" not in server.addresses(), (
        "the Peer of the one that went is still on the interface"
    )
    server.gone("Peer", "pinned")
    await server.settle()
    assert server.addresses()["late"] == "10.0.0.5"
    assert server.ready("late") is None


async def test_two_devices_exchange_their_pins(server: Server) -> None:
    server.device("a", tunnelAddress="10.0.0.5")
    server.device("b", tunnelAddress="10.0.0.6")
    await server.settle()
    server.device("a", tunnelAddress="10.0.0.6")
    server.device("b", tunnelAddress="10.0.0.5")
    await server.settle()
    assert server.addresses() == {"a": "10.0.0.6", "b": "10.0.0.5"}
    assert (server.allowed("a"), server.allowed("b")) == (
        ["10.0.0.6/32"],
        ["10.0.0.5/32"],
    )


async def test_bad_pin_leaves_a_working_tunnel_as_it_is(
    server: Server,
) -> None:
    server.device("r1")
    await server.settle()
    address = server.addresses()["r1"]
    for pin, reason in (
        ("10.9.9.9", "TunnelAddressOutsideHub"),
        ("10.0.0.1", "TunnelAddressConflict"),
        ("10.0.0.255", "TunnelAddressOutsideHub"),
    ):
        server.device("r1", tunnelAddress=pin)
        await server.settle()
        assert server.ready("r1") == reason
        assert server.addresses()["r1"] == address
        assert server.allowed("r1") == [f"{address}/32"]
    server.device("r1")
    await server.settle()
    assert server.ready("r1") is None


async def test_e9_an_address_stays_when_the_hub_loses_its_network(
    server: Server,
) -> None:
    server.device("r1")
    await server.settle()
    address = server.addresses()["r1"]
    server.hub("10.1.0.1/24")
    await server.settle()
    assert (server.ready("r1"), server.addresses()["r1"]) == (
        "TunnelAddressOutsideHub",
        address,
    )
    server.hub("10.1.0.1/24", "10.0.0.1/24")
    await server.settle()
    assert server.ready("r1") is None


async def test_e9_two_that_have_one_address_the_applied_one_keeps_it(
    server: Server,
) -> None:
    """Statuses that a person's tool restored, or two operators at once: it heals."""
    for name in ("a", "b"):
        server.device(name)
    await server.settle()
    address = server.addresses()["a"]
    applied = [
        {
            "type": "Applied",
            "status": "True",
            "reason": "Applied",
            "message": "",
        }
    ]
    spec = {
        **server.objects["Peer", "b"]["spec"],
        "allowedIPs": [f"{address}/32"],
    }
    server.put("Peer", "b", spec=spec, status={"conditions": applied})
    server.put(
        "Device", "b", status={"tunnelAddress": address, "peerName": "b"}
    )
    server.peers.begin()
    await server.settle()
    found = server.addresses()
    assert found["b"] == address, "its tunnel works"
    assert found["a"] != address
    assert server.allowed("a") == [f"{found['a']}/32"]


def applied(generation: int = 1) -> Body:
    """The status of a Peer that is on the interface."""
    said = {
        "type": "Applied",
        "status": "True",
        "reason": "Applied",
        "observedGeneration": generation,
    }
    return {"conditions": [said]}


def by_hand(server: Server, address: str, **status: Any) -> None:
    """Have a person's Peer with that address."""
    spec = {
        "hubRef": {"name": "hub"},
        "publicKey": OTHER_KEY,
        "allowedIPs": [f"{address}/32"],
    }
    server.put("Peer", "laptop", spec=spec, status=status)


@pytest.mark.parametrize("on_interface", [True, False])
async def test_e9_a_later_peer_by_hand_takes_no_devices_address(
    server: Server, on_interface: bool
) -> None:
    """E9: the agent refuses that Peer; to move the Device would cut its router off."""
    server.device("r1")
    await server.settle()
    address = server.addresses()["r1"]
    if on_interface:
        server.put("Peer", "r1", status=applied())
    by_hand(server, address)
    server.writes.clear()
    for _ in range(2):
        await server.settle()
        server.peers.begin()
    assert (server.addresses()["r1"], server.allowed("r1")) == (
        address,
        [f"{address}/32"],
    )
    assert (server.writes, server.events) == ([], [])


async def test_e9_a_device_whose_address_a_peer_by_hand_has_on_the_interface_keeps_it_and_says_so(
    server: Server,
) -> None:
    """E9: the router has it in its configuration, so a person decides who gets another one."""
    server.device("r1", key=None)
    await server.settle()
    address = server.addresses()["r1"]
    by_hand(server, address, **applied(generation=0))
    server.device("r1")
    await server.settle()
    assert server.ready("r1") is None, (
        "what is on the interface is that Peer as it was before"
    )
    by_hand(server, address, **applied())
    server.peers.begin()
    await server.settle()
    assert (server.ready("r1"), server.addresses()["r1"]) == (
        "TunnelAddressConflict",
        address,
    )
    assert server.allowed("r1") == [f"{address}/32"]
    server.gone("Peer", "laptop")
    await server.settle()
    assert server.ready("r1") is None


async def test_e9_a_peer_by_hand_that_was_there_keeps_its_address_from_a_pin(
    server: Server,
) -> None:
    by_hand(server, "10.0.0.5")
    server.device("r1", tunnelAddress="10.0.0.5")
    await server.settle()
    assert (server.ready("r1"), server.addresses()) == (
        "TunnelAddressConflict",
        {},
    )
    server.gone("Peer", "laptop")
    await server.settle()
    assert server.addresses() == {"r1": "10.0.0.5"}


async def test_b9_a_devices_own_peer_that_cannot_be_read_takes_no_address_from_it(
    server: Server,
) -> None:
    server.device("r1")
    await server.settle()
    address = server.addresses()["r1"]
    server.put(
        "Peer",
        "r1",
        spec={
            **server.objects["Peer", "r1"]["spec"],
            "persistentKeepalive": "odd",
        },
    )
    server.peers.begin()
    await server.settle()
    assert server.addresses()["r1"] == address


async def test_key_and_hub_come_and_go(server: Server) -> None:
    server.gone("Hub", "hub")
    server.device("r1", key=None)
    await server.settle()
    assert (server.ready("r1"), server.addresses()) == ("HubNotFound", {})
    assert server.events == ["HubNotFound"]
    server.hub("10.0.0.1/24")
    await server.settle()
    address = server.addresses()["r1"]
    assert server.ready("r1") is None
    assert ("Peer", "r1") not in server.objects
    server.device("r1")
    await server.settle()
    server.device("r1", key=OTHER_KEY)
    await server.settle()
    assert server.objects["Peer", "r1"]["spec"]["publicKey"] == OTHER_KEY
    server.device("r1", key=None)
    await server.settle()
    assert ("Peer", "r1") not in server.objects
    assert server.addresses()["r1"] == address


async def test_b9_what_cannot_be_read_keeps_its_address_and_is_left_alone(
    server: Server,
) -> None:
    server.hub("10.0.0.1/30")
    server.put(
        "Device",
        "odd",
        spec={"hubRef": {"name": "hub"}, "api": 7},
        status={"tunnelAddress": "10.0.0.2"},
    )
    server.device("r1")
    await server.settle()
    assert server.ready("r1") == "PoolExhausted"
    assert not [name for _, kind, name in server.writes if name == "odd"]
    server.gone("Device", "odd")
    await server.settle()
    assert server.addresses()["r1"] == "10.0.0.2"


async def test_terminating_and_direct_devices_get_nothing(
    server: Server,
) -> None:
    server.put(
        "Device",
        "direct",
        spec={
            "api": {
                "credentialsSecretRef": {"name": "c"},
                "address": "10.8.0.1",
            }
        },
    )
    server.device("going")
    going = server.put(
        "Device",
        "going",
        metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"},
    )
    server.store.believe(DEVICE, "ns", [going["metadata"]["uid"]])
    await server.settle()
    assert server.writes == []


async def test_what_an_agent_said_before_it_saw_the_trouble_is_said_over_once(
    server: Server,
) -> None:
    server.device("r1", tunnelAddress="10.9.9.9")
    await server.settle()
    trouble = server.ready("r1")
    server.writes.clear()
    ready = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NotLookedYet",
        "message": "not looked yet",
    }
    server.put("Device", "r1", status={"conditions": [ready]})
    for _ in range(5):
        await server.settle()
    assert server.ready("r1") == trouble
    assert len(server.writes) == 1


async def test_e9_one_change_among_ten_thousand_devices_looks_at_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And all of them get theirs without quadratic work: the number of looks is counted, not the time."""
    server = Server()
    server.hub("10.0.0.1/18")
    for number in range(10_000):
        server.device(f"r{number}")
    looks = 0
    plan = server.peers._planner.plan

    def counted(device: Any) -> Any:
        nonlocal looks
        looks += 1
        return plan(device)

    monkeypatch.setattr(server.peers._planner, "plan", counted)
    begun = time.process_time()
    await server.settle()
    print(
        f"{looks} looks, {time.process_time() - begun:.1f} s of processor time, batches of {BATCH}"
    )
    assert len(set(server.addresses().values())) == 10_000
    assert looks <= 3 * 10_000
    looks = 0
    server.device("r77", lanNetworks=["192.168.7.0/24"])
    await server.settle()
    assert looks <= 3
    assert server.allowed("r77")[1] == "192.168.7.0/24"

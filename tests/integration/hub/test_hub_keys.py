"""The key of a Hub's interface (E3): what is there is adopted, what differs is said, nothing is changed."""

from __future__ import annotations

import base64

import pytest

from integration.hub.hub_node import HubNode, NodeAgent
from integration.hub.plain import configure, make_keys
from integration.hub.world import ADDRESS, PORT, World


@pytest.fixture(scope="module")
def agent(world: World, node: HubNode) -> NodeAgent:
    return world.start_agent(node)


def in_secret(world: World, name: str, key: str) -> str:
    data = world.kubectl(
        "get",
        "secret",
        name,
        "--ignore-not-found",
        "-o",
        f"jsonpath={{.data.{key}}}",
    )
    return base64.b64decode(data).decode()


def test_e3_an_interface_with_a_key_is_adopted_as_it_is(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    """Made by other hands, with a router that works: key, port, peers and sessions stay."""
    router, keys = world.plain_router("adopted", "10.64.0.2"), make_keys()
    world.passwords.append(keys.private)
    node.make_interface("wg0")
    configure(node, "wg0", "listen-port", str(PORT), private_key=keys.private)
    configure(
        node, "wg0", "peer", router.keys.public, "allowed-ips", "10.64.0.2/32"
    )
    node.run(["ip", "address", "add", f"{ADDRESS}/16", "dev", "wg0"])
    node.run(["ip", "link", "set", "wg0", "mtu", "1420", "up"])
    router.dial(keys.public, f"{node.address}:{PORT}")
    router.reaches(ADDRESS)
    start, train, before = (
        world.internet.now(),
        router.train(ADDRESS),
        node.shown(),
    )
    world.peer("adopted", "adopting", router.keys.public, "10.64.0.2/32")
    assert world.ready_hub("adopting", node) == keys.public
    world.until_condition("Peer", "adopted", "Applied", "True")
    world.compared("adopting")
    after = node.shown()
    assert (after.index, after.private_key, after.listen_port) == (
        before.index,
        keys.private,
        PORT,
    )
    assert train.stop() == []
    assert world.internet.early_handshakes(router.address, start) == []
    assert in_secret(world, "adopting-wireguard", "privateKey") == keys.private
    assert in_secret(world, "adopting-wireguard", "publicKey") == keys.public


def test_e3_interface_and_secret_that_differ_are_a_condition(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    on_interface, in_secret_ = make_keys(), make_keys()
    world.passwords += [on_interface.private, in_secret_.private]
    node.make_interface("wg1")
    configure(
        node, "wg1", "listen-port", "51821", private_key=on_interface.private
    )
    world.tunnel_secret(
        "differs-wireguard",
        privateKey=in_secret_.private,
        publicKey=in_secret_.public,
    )
    spec = {
        "interface": "wg1",
        "listenPort": 51821,
        "addresses": ["10.65.0.1/24"],
    }
    world.hub("differs", node, **spec)
    said = world.until_condition(
        "Hub", "differs", "Ready", "False", "KeyMismatch"
    )
    assert "differs-wireguard" in said["message"]
    assert "delete the Secret" in said["message"]
    world.compared("differs")
    world.compared("differs")
    assert node.shown("wg1").private_key == on_interface.private
    assert (
        in_secret(world, "differs-wireguard", "privateKey")
        == in_secret_.private
    )
    # What the message says to do.
    world.kubectl("delete", "secret", "differs-wireguard")
    world.until_condition("Hub", "differs", "Ready", "True")
    assert (
        in_secret(world, "differs-wireguard", "privateKey")
        == on_interface.private
    )


def test_e3_a_secret_that_is_there_first_gives_the_key(
    world: World, node: HubNode, agent: NodeAgent
) -> None:
    keys = make_keys()
    world.tunnel_secret("given", privateKey=keys.private)
    spec = {
        "interface": "wg2",
        "listenPort": 51822,
        "addresses": ["10.66.0.1/24"],
    }
    assert (
        world.ready_hub(
            "given", node, privateKeySecretRef={"name": "given"}, **spec
        )
        == keys.public
    )
    assert node.shown("wg2").private_key == keys.private


@pytest.mark.parametrize(
    ("number", "data", "kind", "words"),
    [
        (
            3,
            {"privateKey": "bm90IGEga2V5"},
            "relay.cerebro.dev/wireguard",
            "privateKey",
        ),
        (
            4,
            {"other": "x"},
            "relay.cerebro.dev/wireguard",
            "no key privateKey",
        ),
        (
            5,
            {"privateKey": "A" * 43 + "="},
            "Opaque",
            "relay.cerebro.dev/wireguard",
        ),
    ],
    ids=["no key", "not there", "another type"],
)
def test_a_secret_that_cannot_be_used_says_why(
    world: World,
    node: HubNode,
    agent: NodeAgent,
    *,
    number: int,
    data: dict[str, str],
    kind: str,
    words: str,
) -> None:
    name = f"unusable-{number}"
    encoded = {
        key: base64.b64encode(value.encode()).decode()
        for key, value in data.items()
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": kind,
    }
    world.apply({**secret, "data": encoded})
    spec = {
        "interface": f"wg{number}",
        "listenPort": 51820 + number,
        "addresses": [f"10.67.{number}.1/24"],
    }
    world.hub(name, node, privateKeySecretRef={"name": name}, **spec)
    said = world.until_condition(
        "Hub", name, "Ready", "False", "SecretNotUsable"
    )
    assert name in said["message"]
    assert words in said["message"]
    shown = node.show(f"wg{number}")
    assert shown is None or shown.private_key == "(none)"

"""From nothing to orders on a real node, and what must not be lost meanwhile: one story, in this order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

from backend.feed import Feed
from demo.story import CHAPTERS
from e2e.installation import NEXT, NODE, OVERLAY, Installation
from e2e.orders import order, pays_off
from e2e.site import BACKEND, HUB_ADDRESS, Site, interfaces
from integration.agent.router import BINDING

UPDATED = {
    "deployment/cerebro-operator": ("operator", "bridge"),
    "daemonset/cerebro-agent": ("agent",),
}


def mac(number: int) -> str:
    return f"AA:BB:CC:00:{number // 256:02X}:{number % 256:02X}"


def test_the_story_of_the_demo_is_seen_through_the_service(
    installation: Installation, site: Site
) -> None:
    """Each chapter raises NotSeenError for what is not so."""
    with installation.billing() as billing, Feed(BACKEND) as feed:
        stage = site.stage(billing, feed)
        for chapter in CHAPTERS:
            chapter(stage)

    assert stage.step == len(CHAPTERS)


def test_e2_an_agent_that_is_replaced_costs_no_handshake(
    installation: Installation, site: Site
) -> None:
    """The interface is carried by the tunnel's pod."""
    (before,) = installation.pods("cerebro-agent")
    handshake = site.tunnel.handshake()
    train = site.tunnel.train(HUB_ADDRESS)

    name = before["metadata"]["name"]
    installation.kubectl("delete", "pod", name)
    installation.is_up()
    site.is_ready()

    assert train.stop() == []
    (after,) = installation.pods("cerebro-agent")
    assert after["metadata"]["name"] != name
    assert site.tunnel.handshake() >= handshake


def test_no_order_is_lost_when_the_operators_pod_is_deleted(
    installation: Installation, site: Site
) -> None:
    clients = {f"paid-{number}": mac(number) for number in range(100, 150)}
    halfway = threading.Event()

    def pay(entry: tuple[str, str]) -> httpx.Response:
        name, client = entry
        if name == "paid-110":
            halfway.set()

        with installation.billing() as billing:
            return pays_off(billing, name, client)

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(pay, clients.items())
        halfway.wait()
        (pod,) = installation.pods("cerebro-operator")
        installation.kubectl(
            "delete", "pod", pod["metadata"]["name"], "--wait=false"
        )
        assert {answer.status_code for answer in answers} == {200}

    bound = {row["mac-address"] for row in site.router.rows(BINDING)}
    assert bound >= set(clients.values())
    installation.is_up()


def test_e18_no_call_fails_during_a_rolling_update(
    installation: Installation, site: Site
) -> None:
    """To a second tag: no backend calls twice, until the last old pod is gone (E15)."""
    stop = threading.Event()

    def backend(first: int) -> list[str]:
        paid: list[str] = []
        with installation.billing() as billing:
            while not stop.wait(0.1):
                client = mac(first + len(paid))
                answer = order(billing, f"paid-{client}", client)
                assert answer.status_code == 200, answer.text
                paid.append(client)

        return paid

    replaced = [
        pod["metadata"]["name"]
        for name in ("cerebro-operator", "cerebro-agent")
        for pod in installation.pods(name)
    ]
    with ThreadPoolExecutor(2) as pool:
        paying = [pool.submit(backend, first) for first in (1000, 3000)]
        try:
            for workload, containers in UPDATED.items():
                images = [f"{name}={NEXT}" for name in containers]
                installation.kubectl("set", "image", workload, *images)

            installation.is_up()
            for pod in replaced:
                installation.is_gone(pod)
        finally:
            stop.set()

        paid = [client for payer in paying for client in payer.result()]

    site.is_ready()
    bound = {row["mac-address"] for row in site.router.rows(BINDING)}
    assert bound >= set(paid)


def test_a_node_that_is_drained_comes_back(
    installation: Installation, site: Site
) -> None:
    installation.kubectl(
        "drain", NODE, "--ignore-daemonsets", "--delete-emptydir-data"
    )
    assert all(
        pod["status"]["phase"] == "Pending"
        for pod in installation.pods("cerebro-operator")
    )
    installation.kubectl("uncordon", NODE)
    installation.is_up()
    with installation.billing() as billing:
        pays_off(billing, "after-drain", mac(500))

    assert site.router.row(BINDING, mac_address=mac(500))


def test_uninstalling_leaves_nothing_behind(
    installation: Installation, site: Site
) -> None:
    """What we made goes while the agent is there to take it off."""
    assert "wg-e2e" in interfaces()
    installation.clean_up()

    assert site.router.rows(BINDING) == []
    assert "wg-e2e" not in interfaces()
    installation.kubectl("delete", "-k", OVERLAY, "--timeout=120s")
    installation.kubectl("delete", "-k", "deploy/crds", "--timeout=120s")
    listed = installation.kubectl(
        "get", "crds,namespaces,clusterroles,priorityclasses", "-o", "name"
    )
    assert "cerebro" not in listed

"""The pages of docs, done as they stand by one reader, from the install page to the end: one story, in this order.

Replaced are only the words that each reader replaces: names of images, the address that routers dial, the password.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from cluster.node import CONTAINERD_SOCKET
from e2e.installation import until
from e2e.reader import Reader
from e2e.site import NODE_ADDRESS, PORT, Uplink, interfaces
from integration.agent.router import BINDING, Router
from integration.hub.plain import PlainRouter, make_keys
from support.console_router import ConsoleRouter
from support.pages import PAGES, Block, blocks

NAMESPACE = "cerebro"
ROUTER = "router-1"
PHONE, PHONE_IP = "AA:BB:CC:DD:EE:FF", "192.168.88.20"
PAID = "AA:BB:CC:DD:EE:01"
"""The phone of the first order over HTTP."""
PASSWORD = secrets.token_urlsafe(18)
NETWORK, HUB_ADDRESS = "10.8.0.0/16", "10.8.0.1"
TAGS = {"dev": "0.1.0", "next": "0.2.0"}
"""Tags of the node's image, and those of the pages."""
VOLUMES = 2


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Whoever reads, with a node that has the images, and volumes as k3s makes them."""
    for ours, theirs in TAGS.items():
        name = "localhost/cerebro"
        words = ["ctr", "--address", CONTAINERD_SOCKET, "--namespace"]
        words += ["k8s.io", "images", "tag", f"{name}:{ours}"]
        subprocess.run(
            [*words, f"{name}:{theirs}"], check=True, capture_output=True
        )

    own = {
        "vpn.example.net:51820": f"{NODE_ADDRESS}:{PORT}",
        "CHOOSE-ONE": PASSWORD,
    }
    reader = Reader(tmp_path_factory.mktemp("reader"), own)
    for number in range(VOLUMES):
        reader.types(f"kubectl apply -f - <<'END'\n{volume(number)}\nEND")

    return reader


def volume(number: int) -> str:
    """Return a volume on the node, open to every user."""
    folder = Path(os.environ["CEREBRO_CLUSTER"]) / f"volume-{number}"
    folder.mkdir()
    folder.chmod(0o777)
    return f"""
apiVersion: v1
kind: PersistentVolume
metadata: {{name: docs-{number}}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {{path: {folder}}}
"""


@pytest.fixture(scope="module")
def router(simulator: str) -> Iterator[Router]:
    """A router without a hotspot, and with its first user alone."""
    body = {"name": ROUTER, "user": "admin", "serial": "SNDOCS1"}
    made = httpx.post(f"{simulator}/routers", json=body, timeout=30)
    made.raise_for_status()
    router = Router(simulator, made.json())
    for row in router.rows("/ip/hotspot"):
        router.remove("/ip/hotspot", row[".id"])

    yield router
    httpx.delete(f"{simulator}/routers/{ROUTER}", timeout=30)


@pytest.fixture(scope="module")
def end(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainRouter]:
    """The router's end of the tunnel, which dials nobody yet."""
    with ExitStack() as stack:
        yield stack.enter_context(
            PlainRouter(
                ROUTER,
                Uplink(),  # type: ignore[arg-type]  # it plugs as an Internet does
                "Userspace",
                tmp_path_factory.mktemp("end"),
                make_keys(),
            )
        )


def test_the_install_page_installs_by_kubectl(reader: Reader) -> None:
    page = "install.md"
    reader.does(page, "2. The namespace, its Secrets, and a node for routers")

    reader.does(page, "With kubectl")

    told = reader.does(page, "3. The command `cerebro`")
    assert "bootstrap" in told


def test_the_first_router_lets_a_phone_in(
    reader: Reader, router: Router, end: PlainRouter
) -> None:
    page = "first-router.md"
    router.move_in(PHONE, PHONE_IP)
    reader.does_at(router, page, "3. The router")
    assert not router.forwards(PHONE)

    reader.does(page, "4. The Hub, and the router as a Device")

    bootstrap, dialled = (
        block for block in blocks(f"docs/{page}") if "5." in block.section
    )
    printed = reader.types(bootstrap.text)
    reader.types(paste(printed.splitlines(), router, end))
    reader.types(dialled.text)
    reader.run |= {bootstrap, dialled}

    let_in, ended = (
        block for block in blocks(f"docs/{page}") if "6." in block.section
    )
    assert "Active" in reader.types(let_in.text)
    assert router.forwards(PHONE)
    reader.types(ended.text)
    assert not router.forwards(PHONE)
    reader.run |= {let_in, ended}


def paste(lines: list[str], router: Router, end: PlainRouter) -> str:
    """Paste the script into the router; return the command that the router prints."""
    console = ConsoleRouter()
    console.paste(lines)
    assert console.failed == []
    (interface,) = console.tables["/interface/wireguard"]
    (peer,) = console.tables["/interface/wireguard/peers"]
    (address,) = console.tables["/ip/address"]

    end.live_at(address["address"].partition("/")[0], NETWORK)
    end.dial(
        peer["public-key"],
        f"{peer['endpoint-address']}:{peer['endpoint-port']}",
        allowed=peer["allowed-address"],
        keepalive=25,
    )
    port = router.address_book["port"]
    end.reach(port)
    end.forward_api(port)
    return console.printed[-1].replace(
        interface["public-key"], end.keys.public
    )


def test_a_backend_is_connected(reader: Reader, router: Router) -> None:
    page = "connect-a-backend.md"
    reader.does(page, "Connect a backend")

    reader.does(page, "With curl")
    assert router.row(BINDING, mac_address=PAID)

    told = reader.does(page, "With Python")
    assert "order-125 has no access any more at router-1" in told
    assert not router.rows(BINDING, mac_address="AA:BB:CC:DD:EE:02")


def test_an_upgrade_by_kubectl_and_back(
    reader: Reader, router: Router
) -> None:
    page = "upgrade.md"
    reader.does(page, "With kubectl")
    assert images(reader) == {"localhost/cerebro:0.2.0"}
    reader.does(page, "See that it is well")

    back, by_helm = (
        block
        for block in blocks(f"docs/{page}")
        if block.section == "Roll back"
    )
    reader.types(back.text)
    reader.run.add(back)

    assert "helm" in by_helm.text
    assert images(reader) == {"localhost/cerebro:0.1.0"}
    assert router.row(BINDING, mac_address=PAID)


def images(reader: Reader) -> set[str]:
    """Return the images that operator, bridge and agent are wanted to have."""
    template = "{.items[*].spec.template.spec.containers[*].image}"
    words = f"get deployments,daemonsets -o jsonpath='{template}'"
    return set(reader.types(f"kubectl -n {NAMESPACE} {words}").split())


def test_a_restore_cuts_nobody_off_and_lets_nobody_in_twice(
    reader: Reader, router: Router, end: PlainRouter
) -> None:
    """Rules A11 and E9. The new cluster is the old one, after all of it went without a clean-up."""
    page = "backup.md"
    before = router.access()
    assert router.row(BINDING, mac_address=PAID)
    reader.does(page, "Back up")
    lose_everything(reader)
    assert "wg0" not in interfaces()
    writes = router.writes()

    first, looked, last = (
        block for block in blocks(f"docs/{page}") if block.section == "Restore"
    )
    reader.types(first.text)
    reader.does("install.md", "With Helm")
    # A router keeps to the old interface's session for two minutes at most.
    end.forget_session()
    end.reaches(HUB_ADDRESS)
    plan = f"# Device {ROUTER}, router {ROUTER}: nothing would be changed"
    until(lambda: plan in reader.types(looked.text), "it has its plan")
    reader.types(last.text)
    reader.run |= {first, looked, last}

    assert router.access() == before
    assert router.writes() == writes
    # The Service has another address now, and the Secrets are the old ones.
    reader.does("connect-a-backend.md", "Connect a backend")
    reader.does("connect-a-backend.md", "With curl")
    names = f"kubectl -n {NAMESPACE} get sessions -o jsonpath='{{.items[*].spec.orderID}}'"
    assert reader.types(names).split() == ["order-124"]
    assert router.access() == before


def lose_everything(reader: Reader) -> None:
    """Take Cérebro away as a lost node does, and then what is left in the cluster."""
    in_it = f"kubectl -n {NAMESPACE}"
    reader.types(f"{in_it} delete deployments,daemonsets --all --wait")
    # By force they would be gone before their processes are, and an operator puts finalizers back.
    reader.types(f"{in_it} delete pods --all --grace-period=1 --wait")
    reader.types(
        f"""
        for object in $({in_it} get hubs,devices,peers -o name); do
          {in_it} patch "$object" --type=merge -p '{{"metadata": {{"finalizers": null}}}}'
        done
        """
    )
    by_kubectl, _ = uninstalls()
    reader.types(by_kubectl.text)
    reader.run.add(by_kubectl)


def uninstalls() -> tuple[Block, Block]:
    """Return what the install page says of kubectl, and of Helm."""
    _, by_kubectl, by_helm, _ = (
        block
        for block in blocks("docs/install.md")
        if block.section == "6. Uninstall"
    )
    return by_kubectl, by_helm


def test_an_upgrade_by_helm_and_back(reader: Reader, router: Router) -> None:
    reader.does("upgrade.md", "With Helm")
    assert images(reader) == {"localhost/cerebro:0.2.0"}

    by_helm = next(
        block
        for block in blocks("docs/upgrade.md")
        if "helm rollback" in block.text
    )
    reader.types(by_helm.text)
    reader.run.add(by_helm)

    assert images(reader) == {"localhost/cerebro:0.1.0"}
    assert router.row(BINDING, mac_address=PAID)


def test_what_is_uninstalled_leaves_nothing_behind(
    reader: Reader, router: Router
) -> None:
    clean_up, *_, label = (
        block
        for block in blocks("docs/install.md")
        if block.section == "6. Uninstall"
    )
    _, by_helm = uninstalls()

    reader.types(clean_up.text)
    ours = router.rows(BINDING)
    assert [row["comment"] for row in ours] == ["my computer"]
    assert "wg0" not in interfaces()
    reader.types(by_helm.text)
    reader.types(label.text)
    reader.run |= {clean_up, by_helm, label}

    words = "crds,namespaces,clusterroles,priorityclasses -o name"
    assert "cerebro" not in reader.types(f"kubectl get {words}")
    nodes = "-l relay.cerebro.dev/hub -o name"
    assert reader.types(f"kubectl get nodes {nodes}") == ""
    reader.types("kubectl delete persistentvolumes --all")


def test_each_command_of_the_pages_was_run(reader: Reader) -> None:
    wanted = {
        block
        for page in PAGES
        for block in blocks(page)
        if block.language in {"sh", "routeros"} and not block.mark
    }

    assert {str(block) for block in wanted - reader.run} == set()

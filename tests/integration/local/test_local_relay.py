"""`python -m local` as people run it: everything real but for the routers, which are simulated.

Once with routers that are reached directly, once through real WireGuard tunnels in network namespaces. It lies in
a folder of the test's own, beside whatever `make up` has started.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from controlplane.binaries import Binaries
from controlplane.progress import wait_until
from local.tunnels import DIRECT, why_not

HACK = Path(__file__).parents[3] / "hack"
OURS = ("agent", "operator", "bridge", "simulator", "backend")
OF_TUNNELS = ("tunnel", "routers", "forward", "forward-hub")


class Local:
    """The local relay in `folder`, by its command line and the files that it writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.direct = False

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {
            "CEREBRO_LOCAL_FOLDER": str(self.folder),
            DIRECT: "1" if self.direct else "",
        }
        return subprocess.run(
            [sys.executable, "-m", "local", *words],
            cwd=HACK,
            env=env,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def pid(self, name: str) -> int | None:
        try:
            return int((self.folder / "pid" / name).read_text())
        except FileNotFoundError:
            return None

    def runs_anew(self, name: str, before: int | None) -> bool:
        """Whether it runs, and under another process id than `before`."""
        return self.pid(name) not in {None, before}

    def shell(self, command: str) -> str:
        """What `command` prints in a shell that sourced the environment file."""
        words = ["sh", "-c", f". {self.folder}/env; {command}"]
        return subprocess.run(
            words, check=True, capture_output=True, text=True, timeout=180
        ).stdout.strip()

    def devices_ready(self) -> list[str]:
        """The `Ready` status of each Device."""
        query = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{" "}{end}'
        return self.shell(f"kubectl get devices -o jsonpath='{query}'").split()

    def all_ready(self, number: int) -> bool:
        """Whether so many Devices are Ready; not, while the API server is away."""
        try:
            return self.devices_ready() == ["True"] * number
        except subprocess.CalledProcessError:
            return False

    def network(self, name: str) -> Path:
        """The network namespace of one of the processes."""
        return Path(f"/proc/{self.pid(name)}/ns/net").readlink()


@pytest.fixture
def local(tmp_path: Path, control_plane_programs: Binaries) -> Iterator[Local]:
    relay = Local(tmp_path / "local")
    yield relay
    relay.run("down")


@pytest.fixture
def tunnelled(local: Local) -> Local:
    reason = why_not(2)
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return local


def test_up_brings_everything_up_and_down_leaves_nothing(local: Local) -> None:
    local.direct = True
    first = local.run("up", "--routers", "2")
    assert first.returncode == 0, first.stderr
    assert (
        f"reached directly, without WireGuard: {DIRECT} is set" in first.stderr
    )
    assert "ended and was started again" not in first.stderr
    assert local.devices_ready() == ["True", "True"]
    assert local.shell("kubectl get hubs,peers -o name") == ""
    pids = {
        name: local.pid(name) for name in (*OURS, "etcd", "kube-apiserver")
    }
    assert None not in pids.values()

    again = local.run("up")
    assert again.returncode == 0
    assert "already up" in again.stdout
    assert {name: local.pid(name) for name in pids} == pids

    bridge = local.shell('echo "$RELAY_BASE_URL"')
    with urllib.request.urlopen(f"{bridge}/health", timeout=60) as answer:
        assert json.load(answer)["status"] == "ok"

    assert local.run("down").returncode == 0
    paths = [Path(f"/proc/{pid}") for pid in pids.values()]
    wait_until(
        lambda: not any(path.exists() for path in paths),
        "all processes gone",
        timeout=60,
    )
    assert local.run("down").stdout.strip() == "not up"


def test_several_bridges_share_a_redis(local: Local) -> None:
    local.direct = True
    words = ("--routers", "1", "--store", "redis", "--bridges", "2")
    started = local.run("up", *words)
    assert started.returncode == 0, started.stderr
    assert "ended and was started again" not in started.stderr
    assert None not in {local.pid("redis"), local.pid("bridge-2")}
    urls = local.shell('echo "$RELAY_BASE_URL $RELAY_BASE_URL_2"').split()
    for url in urls:
        with urllib.request.urlopen(f"{url}/health/ready") as answer:
            assert json.load(answer)["database"] == "ok"
    seen = local.shell(
        'redis-cli -u "$REDIS_URL" --no-auth-warning zcard relay:cerebro:bridges'
    )
    assert len(set(urls)) == int(seen) == 2


def test_routers_are_reached_through_tunnels_and_down_removes_their_networks(
    tunnelled: Local,
) -> None:
    local = tunnelled
    started = local.run("up", "--routers", "2")
    assert started.returncode == 0, started.stderr
    assert "routers are reached through WireGuard" in started.stderr
    assert "ended and was started again" not in started.stderr
    assert local.devices_ready() == ["True", "True"]
    devices = json.loads(local.shell("kubectl get devices -o json"))["items"]
    assert [one["spec"]["api"].get("address") for one in devices] == [
        None,
        None,
    ]
    assert all(
        one["status"]["tunnelAddress"].startswith("10.64.") for one in devices
    )
    states = "kubectl get peers -o jsonpath='{.items[*].status.state}'"
    wait_until(
        lambda: local.shell(states).split() == ["Online", "Online"],
        "Peers Online",
        timeout=180,
    )
    hub = json.loads(local.shell("kubectl get hub local -o json"))
    assert hub["spec"]["isolation"] == "Strict"

    with urllib.request.urlopen(
        local.shell('echo "$AGENT_HEALTH_URL/readyz"'), timeout=60
    ) as answer:
        assert answer.status == 200
    inside = f"nsenter --target={local.pid('agent')} --net"
    assert "cerebro_wg0" in local.shell(
        f"PATH=$PATH:/usr/sbin {inside} nft list tables"
    )
    local.shell(
        f"kubectl apply -f - <<'END'\n{json.dumps(direct_device(local))}\nEND"
    )
    local.shell(
        "kubectl wait device/direct --for=condition=Ready --timeout=170s"
    )

    networks = {local.network(name) for name in OF_TUNNELS} - {
        Path("/proc/self/ns/net").readlink()
    }
    assert len(networks) == 2
    assert local.run("down").returncode == 0
    wait_until(
        lambda: networks.isdisjoint(all_networks()),
        "the networks gone",
        timeout=60,
    )


def direct_device(local: Local) -> dict[str, object]:
    """A Device that somebody declares by what the environment file says; its Secret is that of router-1."""
    address, port = local.shell(
        'echo "$ROUTER1_ADDRESS $ROUTER1_PORT"'
    ).split()
    secret = json.loads(local.shell("kubectl get secret router-1 -o json"))
    api = {"address": address, "port": int(port), "allowPlaintext": True}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "direct"},
                "type": secret["type"],
                "data": secret["data"],
            },
            {
                "apiVersion": "relay.cerebro.dev/v1alpha1",
                "kind": "Device",
                "metadata": {"name": "direct"},
                "spec": {
                    "api": {**api, "credentialsSecretRef": {"name": "direct"}}
                },
            },
        ],
    }


def all_networks() -> set[Path]:
    """The network namespaces of all processes that there are."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.add((process / "ns/net").readlink())
    return found


def test_whatever_is_killed_comes_back_and_the_devices_are_ready_again(
    local: Local,
) -> None:
    """Through tunnels where they can be."""
    started = local.run("up", "--routers", "1")
    assert started.returncode == 0, started.stderr
    names = (
        *OURS,
        *(OF_TUNNELS if why_not(1) is None else ()),
        "etcd",
        "kube-apiserver",
    )
    before = {name: local.pid(name) for name in names}
    for pid in before.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for name, pid in before.items():
        wait_until(
            partial(local.runs_anew, name, pid), f"{name} again", timeout=120
        )
    wait_until(
        partial(local.all_ready, 1),
        "the Device Ready after everything was killed",
        timeout=240,
        interval=1,
    )

"""`cerebro bootstrap` and `cerebro export` as people run them.

Real: the commands as processes of their own, the API server, the rights of `deploy/`. Played by the test: agent
and operator, by writing statuses.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane.server import ControlPlane
from integration.bridge.agent import Agent
from support.console_router import ConsoleRouter

HUB_KEY = "h" * 42 + "A="
ROUTER_KEY = "r" * 42 + "A="


@pytest.fixture
def agent(control_plane: ControlPlane, namespace: str) -> Agent:
    return Agent(control_plane, namespace)


@pytest.fixture
def cerebro(
    account_kubeconfig: Callable[[str], Path], namespace: str, tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `cerebro` with these arguments; the home folder is empty unless a test says otherwise."""
    kubeconfig = account_kubeconfig("cerebro-operator")
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [str(Path(sys.executable).with_name("cerebro")), *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "KUBECONFIG": str(kubeconfig),
                "CEREBRO_NAMESPACE": namespace,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(child)
        return child

    yield start
    for child in running:
        child.kill()
        child.communicate()


def end(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, output, and what was said besides."""
    output, said = child.communicate(timeout=60)
    return child.returncode, output, said


def make_hub(agent: Agent, *, key: str | None = HUB_KEY, **spec: Any) -> None:
    fields = {
        "nodeName": "n",
        "addresses": ["10.8.0.1/16"],
        "endpoint": "[2001:db8::1]:51820",
        **spec,
    }
    agent.apply(
        "Hub",
        "hub-1",
        {name: value for name, value in fields.items() if value is not None},
    )
    if key:
        agent.status("hub", "hub-1", publicKey=key)


def make_device(agent: Agent, name: str = "router-1", **spec: Any) -> None:
    api = {"credentialsSecretRef": {"name": "router"}}
    agent.apply(
        "Device", name, {"hubRef": {"name": "hub-1"}, "api": api, **spec}
    )


def test_a_router_gets_its_script_and_its_key_comes_back(
    cerebro: Callable[..., subprocess.Popen[str]], agent: Agent, tmp_path: Path
) -> None:
    """What the router prints at the end is run as it stands, and the Device has the key."""
    make_hub(agent)
    make_device(agent, routerID='Praça "1" $x\\')
    agent.status("device", "router-1", tunnelAddress="10.8.0.7")
    status, output, said = end(cerebro("bootstrap", "router-1"))
    assert status == 0, said
    assert "spec.publicKey" in said
    router = ConsoleRouter()
    router.paste(output.splitlines())
    assert router.failed == []
    (interface,) = router.tables["/interface/wireguard"]
    assert interface["comment"] == 'cerebro:main:tunnel Praça "1" $x\\'
    assert router.tables["/ip/address"][0]["address"] == "10.8.0.7/16"
    printed = router.printed[-1].replace(interface["public-key"], ROUTER_KEY)
    folder = agent.plane.programs.kubectl.parent
    shell = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KUBECONFIG": str(agent.plane.kubeconfig),
    }
    subprocess.run(
        ["sh", "-c", printed], env=shell, check=True, capture_output=True
    )
    device = json.loads(
        agent.kubectl("get", "device", "router-1", "-o", "json")
    )
    assert device["spec"]["publicKey"] == ROUTER_KEY

    status, again, said = end(cerebro("bootstrap", "router-1"))
    assert (status, again) == (0, output)
    assert "made no Peer" in said
    agent.apply(
        *("Peer", "router-1"),
        {
            "hubRef": {"name": "hub-1"},
            "publicKey": ROUTER_KEY,
            "allowedIPs": ["10.8.0.7/32"],
        },
    )
    agent.status("device", "router-1", peerName="router-1")
    refused = {
        "type": "Accepted",
        "status": "False",
        "reason": "DuplicateKey",
        "message": "key of r2",
    }
    refused["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    agent.status(
        "peer", "router-1", state="NeverConnected", conditions=[refused]
    )
    status, _, said = end(cerebro("bootstrap", "router-1"))
    assert status == 0
    assert (
        "Peer router-1 is NeverConnected; Accepted is False, DuplicateKey: key of r2"
        in said
    )


def test_what_is_not_there_is_named_with_its_field(
    cerebro: Callable[..., subprocess.Popen[str]], agent: Agent
) -> None:
    def said(status: int, *arguments: str, **environment: str) -> str:
        found, output, text = end(
            cerebro("bootstrap", *(arguments or ("router-1",)), **environment)
        )
        assert (found, output) == (status, ""), text
        assert "Traceback" not in text
        return text

    assert "nor any other" in said(1)
    make_device(agent, routerID="BUS05")
    assert "Hub hub-1" in said(1)
    assert "did you mean router-1 (routerID 'BUS05')?" in said(1, "roter-1")
    assert "did you mean router-1 (routerID 'BUS05')?" in said(1, "bus05")
    assert "there are router-1" in said(1, "../secrets")
    make_hub(agent, key=None, endpoint=None)
    assert "spec.endpoint" in said(3)
    make_hub(agent, key=None)
    assert "status.publicKey" in said(3)
    agent.status("hub", "hub-1", publicKey=HUB_KEY)
    assert "status.tunnelAddress" in said(3)
    assert "kubeconfig /nowhere" in said(2, "router-1", KUBECONFIG="/nowhere")
    assert "no Kubernetes API server known" in said(
        2, "router-1", KUBECONFIG=""
    )
    assert "installation" in said(2, "router-1", "--installation", 'x"y')


def test_it_waits_when_asked_to(
    cerebro: Callable[..., subprocess.Popen[str]], agent: Agent
) -> None:
    make_hub(agent, key=None)
    make_device(agent)
    child = cerebro("bootstrap", "router-1", "--wait", "60")
    assert child.stderr is not None
    assert (
        "waiting: the Hub hub-1 has no status.publicKey"
        in child.stderr.readline()
    )
    agent.status("hub", "hub-1", publicKey=HUB_KEY)
    assert (
        "waiting: the Device router-1 has no status.tunnelAddress"
        in child.stderr.readline()
    )
    agent.status("device", "router-1", tunnelAddress="10.8.0.7")
    status, output, said = end(child)
    assert status == 0, said
    assert HUB_KEY in output

    agent.kubectl("delete", "device", "router-1")
    make_device(agent)
    began = time.monotonic()
    assert end(cerebro("bootstrap", "router-1", "--wait", "1"))[0] == 3
    assert time.monotonic() - began >= 1


def test_the_kubeconfig_is_found_where_kubectl_finds_it(
    cerebro: Callable[..., subprocess.Popen[str]],
    agent: Agent,
    account_kubeconfig: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """--kubeconfig, then the first file of KUBECONFIG that exists, then ~/.kube/config; its namespace too."""
    make_device(agent, "router-7")
    config = yaml.safe_load(account_kubeconfig("cerebro-operator").read_text())
    config["contexts"][0]["context"]["namespace"] = agent.namespace
    usual = tmp_path / ".kube" / "config"
    usual.parent.mkdir()
    usual.write_text(yaml.safe_dump(config))
    other = tmp_path / "other"
    other.write_text("{}")
    for arguments, variable in (
        ((), ""),
        ((), f"{tmp_path / 'missing'}:{usual}"),
        (("--kubeconfig", str(usual)), str(other)),
    ):
        status, output, said = end(
            cerebro(
                "export", *arguments, KUBECONFIG=variable, CEREBRO_NAMESPACE=""
            )
        )
        assert status == 0, said
        assert "router-7" in output
    assert end(cerebro("export", KUBECONFIG=str(other)))[0] == 2


def test_e9_an_export_applied_again_gives_the_same_devices(
    cerebro: Callable[..., subprocess.Popen[str]], agent: Agent
) -> None:
    make_device(
        agent,
        "router-1",
        routerID='R "1" é',
        lanNetworks=["192.168.88.0/24"],
        commands="Off",
    )
    make_device(
        agent,
        "router-2",
        routerID="12e5",
        tunnelAddress="10.8.0.9",
        circuitBreaker={"recoveryTime": "1m30s"},
    )
    make_device(agent, "router-3")
    agent.make_device("router-4")
    agent.status(
        "device", "router-1", tunnelAddress="10.8.0.7", version="7.20"
    )
    agent.status("device", "router-2", tunnelAddress="10.8.0.9")

    def specs() -> dict[str, Any]:
        items = json.loads(agent.kubectl("get", "devices", "-o", "json"))[
            "items"
        ]
        return {item["metadata"]["name"]: item["spec"] for item in items}

    before = specs()
    status, output, said = end(cerebro("export"))
    assert status == 0, said
    assert "none is pinned: router-3" in said
    assert "7.20" not in output
    agent.kubectl("delete", "devices", "--all")
    agent.kubectl("apply", "-f", "-", stdin=output)
    before["router-1"]["tunnelAddress"] = "10.8.0.7"
    assert specs() == before
    assert end(cerebro("export"))[1] == output


def test_plans_are_printed_for_devices_in_dry_run(
    cerebro: Callable[..., subprocess.Popen[str]], agent: Agent
) -> None:
    line = "/ip hotspot ip-binding add mac-address=02:00:00:00:00:01"
    make_hub(agent)
    make_device(agent, dryRun=True)
    make_device(agent, "router-2")
    status, output, said = end(cerebro("plan", "router-1"))
    assert (status, output) == (3, "")
    assert "has no status.plan yet" in said
    agent.status("device", "router-1", plan=[line])
    status, output, said = end(cerebro("plan", "router-1"))
    assert (status, output.splitlines()[1:]) == (0, [line])
    status, everything, said = end(cerebro("plan", "--all"))
    assert (status, everything) == (0, output)
    assert "the Device router-2 is not in dry run" in said
    assert end(cerebro("plan", "router-2"))[0] == 3
    assert end(cerebro("plan", "router-3"))[0] == 1
    assert end(cerebro("plan"))[0] == 2
    assert end(cerebro("plan", "router-1", "--all"))[0] == 2

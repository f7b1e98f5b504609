"""`cerebro replace` after a swap of hardware (rule B6), beside an agent, with the rights of a person who may do that.

Real: the command and the agent as processes of their own, the API server. Faked: the routers, by the simulator.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from integration.agent.process import AgentProcess
from integration.agent.relay import Relay
from integration.agent.router import CERTAIN, Router

PASSWORD = "the same on both"
CLIENTS = [(f"AA:BB:CC:00:26:{n:02X}", f"10.5.50.{n}") for n in range(1, 13)]

pytestmark = pytest.mark.usefixtures("agent")


@pytest.fixture(scope="module")
def person(relay: Relay) -> Path:
    """Return the kubeconfig of somebody who may read what the command reads, and change Devices."""
    relay.kubectl("create", "serviceaccount", "person")
    verbs = {
        "change": ("get,list,patch", "devices.relay.cerebro.dev"),
        "look": (
            "get,list",
            "sessions.relay.cerebro.dev,peers.relay.cerebro.dev",
        ),
    }

    for name, (allowed, kinds) in verbs.items():
        relay.kubectl(
            "create", "role", name, f"--verb={allowed}", f"--resource={kinds}"
        )
        relay.kubectl(
            "create",
            "rolebinding",
            name,
            f"--role={name}",
            f"--serviceaccount={relay.namespace}:person",
        )

    return relay.plane.account_kubeconfig("person", relay.namespace)


def replace(
    relay: Relay,
    kubeconfig: Path,
    *arguments: str,
    answer: str | None = None,
) -> tuple[int, str, str]:
    """Run `cerebro replace`; return its exit status, its output, and what it tells besides."""
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("cerebro")),
            "replace",
            *arguments,
        ],
        env={
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(kubeconfig),
            "CEREBRO_NAMESPACE": relay.namespace,
        },
        input=answer,
        capture_output=True,
        text=True,
        timeout=CERTAIN,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def a_router(relay: Relay) -> Router:
    """Return a router that is as its Device wants it, with the password that the others have."""
    router = relay.router(
        secret={"data": {"password": PASSWORD}}, password=PASSWORD
    )
    relay.until_condition("Device", router.name, "Ready", "True")
    return router


def swapped(relay: Relay, old: Router, new: Router) -> str:
    """Put the new router in the old one's place; return its serial number once its Device is refused."""
    old.swap(new)
    relay.until_condition("Device", old.name, "Ready", "False", "WrongRouter")
    serial = str(new.address_book["serial"])
    status = relay.status(old.name, "Device")
    assert status["answeringSerialNumber"] == serial
    assert status["serialNumber"] == old.address_book["serial"]
    return serial


def spec_of(relay: Relay, router: Router) -> dict[str, object]:
    return dict(relay.get("Device", router.name)["spec"])


def test_b6_a_new_router_serves_all_live_sessions_after_replace(
    relay: Relay, person: Path
) -> None:
    """The new router is empty. Nothing is written to it before the command, and all live Sessions are on it after."""
    old, new = a_router(relay), a_router(relay)
    relay.delete("device", new.name)
    names = [f"guest-{number}" for number in range(len(CLIENTS))]
    for name, (mac, ip) in zip(names, CLIENTS, strict=True):
        relay.session(name, old.name, mac, ip)

    relay.until_active(*names)
    relay.patch("session", names[0], revoked=True)
    relay.until_finished(names[0])
    serial = swapped(relay, old, new)
    before = spec_of(relay, old)

    # Without a yes nothing happens.
    status, output, told = replace(relay, person, old.name, answer="n\n")
    assert (status, output.strip()) == (1, "")
    assert "nothing was written" in told
    assert spec_of(relay, old) == before
    assert (old.writes() > 0, new.writes()) == (True, 0)

    # With it the new router has them all when the command ends.
    writes = old.writes()
    status, output, told = replace(relay, person, old.name, "--yes")
    assert status == 0, told
    assert f"serial number {old.address_book['serial']}" in told
    assert f"serves all {len(names) - 1} live Sessions" in output
    print(output)

    for mac, ip in CLIENTS:
        new.move_in(mac, ip)

    ended, *served = CLIENTS
    assert all(new.forwards(mac) for mac, _ in served)
    assert not new.forwards(ended[0])
    assert old.writes() == writes

    spec = spec_of(relay, old)
    assert spec.pop("serialNumber") == serial
    assert spec == before
    device = relay.status(old.name, "Device")
    assert device["serialNumber"] == serial
    assert "answeringSerialNumber" not in device

    # Once more, there is nothing to do.
    status, output, _ = replace(relay, person, old.name)
    assert (status, "nothing was to be written" in output) == (0, True)


def test_b6_replace_takes_no_router_of_another_device_unless_it_is_named(
    relay: Relay, person: Path
) -> None:
    """Case T9: two routers were mixed up, which is no exchange of hardware."""
    first, second = a_router(relay), a_router(relay)
    serial = swapped(relay, first, second)

    status, output, told = replace(relay, person, first.name, "--yes")
    assert (status, output) == (1, "")
    assert f"the router of the Device {second.name}" in told
    assert "serialNumber" not in spec_of(relay, first)

    named = ("--yes", "--serial-number", serial)
    status, output, told = replace(relay, person, first.name, *named)
    assert (status, "all 0 live Sessions" in output) == (0, True), told


def test_b6_replace_prints_the_change_of_a_device_that_is_in_git(
    relay: Relay, person: Path, agent: AgentProcess
) -> None:
    old, new = a_router(relay), a_router(relay)
    relay.delete("device", new.name)
    relay.kubectl(
        "annotate",
        "device",
        old.name,
        "argocd.argoproj.io/tracking-id=wifi:relay.cerebro.dev/Device:wifi/r1",
    )
    serial = swapped(relay, old, new)

    status, output, told = replace(relay, person, old.name, "--yes")
    assert status == 3
    assert "Argo CD" in told
    assert "serialNumber" not in spec_of(relay, old)
    assert new.writes() == 0

    # What was printed is applied as it is, and the command then waits.
    folder = agent.log.parent
    patch = folder / "patch.yaml"
    patch.write_text(output)
    relay.kubectl(
        "patch", "device", old.name, "--type=merge", f"--patch-file={patch}"
    )
    status, output, told = replace(relay, person, old.name)
    assert status == 0, told
    assert spec_of(relay, old)["serialNumber"] == serial

"""`python -m e2e.at_rest`: memory and processor time of each container at rest, as `kubectl top` shows them.

Cérebro is installed by kubectl on the node that `python -m cluster` made. It is measured without Devices, then with
many: simulated routers that the agent reaches directly, and as many Peers of a Hub in userspace WireGuard.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from e2e.installation import NODE, Installation, until
from e2e.site import HUB, make_hub, make_object
from integration.agent.conftest import start_simulator
from integration.hub.plain import make_keys

SUMMARY = f"/api/v1/nodes/{NODE}/proxy/stats/summary"
SETTLES = 60.0
"""Seconds that a change is given before anything is measured."""
WINDOW = 60.0
"""Seconds over which processor time is taken."""
TOGETHER = 100
"""Objects in one call of kubectl."""


@dataclass(frozen=True)
class Usage:
    """What one container has used."""

    memory: int
    """Bytes of its working set, of which the kubelet evicts."""

    processor: int
    """Nanoseconds since its start."""


def main() -> None:
    """Install, measure, add Devices, measure again."""
    parser = argparse.ArgumentParser(
        prog="python -m e2e.at_rest", description=__doc__
    )
    parser.add_argument("--devices", type=int, default=500)
    options = parser.parse_args()
    if "CEREBRO_CLUSTER" not in os.environ:
        sys.exit("error: this needs a node: run `make at-rest`")

    installation = Installation(
        token=secrets.token_urlsafe(24), secret=secrets.token_urlsafe(24)
    )
    print("installing ...", flush=True)
    installation.install()
    installation.apply(make_hub())
    _print(installation, 0)

    folder = Path(os.environ["CEREBRO_CLUSTER"])
    with start_simulator(folder) as simulator:
        _add(installation, simulator, options.devices)
        _print(installation, options.devices)


def _print(installation: Installation, devices: int) -> None:
    """Wait until it is quiet, and print a line for each container."""
    time.sleep(SETTLES)
    before, started = _usage(installation), time.monotonic()
    time.sleep(WINDOW)
    after, seconds = _usage(installation), time.monotonic() - started

    print(f"\n{devices} Devices      MiB   thousandths of a core")
    for name, usage in sorted(after.items()):
        spent = usage.processor - before[name].processor
        share = spent / 1e6 / seconds
        print(f"  {name:12} {usage.memory / 2**20:8.0f} {share:8.1f}")

    sys.stdout.flush()


def _usage(installation: Installation) -> dict[str, Usage]:
    """Ask the kubelet what each of our containers uses."""
    summary = json.loads(installation.kubectl("get", "--raw", SUMMARY))
    return {
        container["name"]: Usage(
            container["memory"]["workingSetBytes"],
            container["cpu"]["usageCoreNanoSeconds"],
        )
        for pod in summary["pods"]
        for container in pod.get("containers", [])
    }


def _add(installation: Installation, simulator: str, devices: int) -> None:
    """Make routers, and declare them; return when all are Ready."""
    password = secrets.token_urlsafe(18)
    made: list[dict[str, Any]] = []
    for number in range(devices):
        made += _router(simulator, f"router-{number}", number, password)
        _progress("routers made", number + 1, devices)

    for start in range(0, len(made), TOGETHER):
        installation.apply(*made[start : start + TOGETHER])
        _progress("objects", start + TOGETHER, len(made))

    until(
        lambda: _ready(installation) == devices,
        f"all {devices} Devices are Ready",
        lambda: f"{_ready(installation)} are",
    )


def _router(
    simulator: str, name: str, number: int, password: str
) -> Iterator[dict[str, Any]]:
    """Make a simulated router; give its Secret, its Device, and a Peer."""
    body = {"name": name, "password": password, "serial": f"SN{number}"}
    answer = httpx.post(f"{simulator}/routers", json=body, timeout=30)
    answer.raise_for_status()
    router = answer.json()
    yield {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "annotations": {
                "relay.cerebro.dev/device": name,
                "relay.cerebro.dev/address": "127.0.0.1",
            },
        },
        "type": "relay.cerebro.dev/router",
        "stringData": {"username": router["user"], "password": password},
    }
    api = {
        "address": "127.0.0.1",
        "port": router["port"],
        "allowPlaintext": True,
        "credentialsSecretRef": {"name": name},
    }
    yield make_object("Device", name, {"api": api})
    yield make_object(
        "Peer",
        name,
        {
            "hubRef": {"name": HUB},
            "publicKey": make_keys().public,
            "allowedIPs": [f"10.64.{1 + number // 250}.{number % 250 + 1}/32"],
        },
    )


def _ready(installation: Installation) -> int:
    """Return how many Devices are Ready."""
    path = "{.items[*].status.conditions[?(@.type=='Ready')].status}"
    words = installation.kubectl(
        "get", "devices", "-o", f"jsonpath={path}"
    ).split()
    return words.count("True")


def _progress(name: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(
            f"\r  {name}: {min(done, total)}/{total}", end="", file=sys.stderr
        )


if __name__ == "__main__":
    main()

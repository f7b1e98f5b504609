"""The routers' ends of the tunnels: `python -m local.routers FILE`, in a
network namespace of their own.

FILE says in JSON what a person would have typed into each router: its key, its
tunnel address, the hub. Each router has an interface of its own, a
wireguard-go, and what it sends goes out there (routes by source address). Port
8728 of its tunnel address leads to its simulator. When one of these programs
ends, so does this one; started again it sets up everything anew.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

API_PORT = 8728
START_TIMEOUT = 20.0
KEEPALIVE = 25
"""Seconds; as routers behind NAT have it. It also makes the first handshake
happen at once.
"""


def main() -> int:
    """Set everything up and stay until one part of it ends."""
    file = Path(sys.argv[1])
    given = json.loads(file.read_text())
    for number, router in enumerate(given["routers"], start=1):
        _start(["wireguard-go", "-f", f"wg{number}"])
        _configure(number, router, given["hub"], file.parent)
    rules = [
        f"tcp:{router['address']}:{API_PORT}=unix:{router['socket']}"
        for router in given["routers"]
    ]
    _start([sys.executable, "-m", "network.forward", *rules])
    ended, status = os.wait()
    print(
        f"process {ended} ended with {os.waitstatus_to_exitcode(status)}",
        file=sys.stderr,
    )
    return 1


def _start(argv: list[str]) -> None:
    """Start a child that dies with this process."""
    subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *argv],
        env=os.environ | {"GOMAXPROCS": "1"},
    )


def _configure(
    number: int, router: dict[str, Any], hub: dict[str, Any], folder: Path
) -> None:
    name, address, table = f"wg{number}", router["address"], str(1000 + number)
    config = folder / f"{name}.conf"
    config.touch(mode=0o600)
    config.write_text(
        f"[Interface]\nPrivateKey = {router['privateKey']}\n"
        f"[Peer]\nPublicKey = {hub['publicKey']}\nAllowedIPs = {hub['address']}/32\n"
        f"Endpoint = {hub['endpoint']}\nPersistentKeepalive = {KEEPALIVE}\n"
    )
    subprocess.run(
        ["ip", "rule", "del", "priority", table],
        capture_output=True,
        check=False,
    )  # an earlier run's
    for words in (
        ("wg", "setconf", name, str(config)),
        ("ip", "address", "add", f"{address}/32", "dev", name),
        ("ip", "link", "set", name, "mtu", "1420", "up"),
        (
            "ip",
            "rule",
            "add",
            "from",
            address,
            "lookup",
            table,
            "priority",
            table,
        ),
        ("ip", "route", "replace", "default", "dev", name, "table", table),
    ):
        _run_once_there(words)


def _run_once_there(words: tuple[str, ...]) -> None:
    """Run a program that fails until wireguard-go has made the interface."""
    deadline = time.monotonic() + START_TIMEOUT
    while (
        done := subprocess.run(
            words, capture_output=True, text=True, check=False
        )
    ).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())

"""The first program in the virtual machine: `python -m vm.inside FOLDER`
prepares it and runs the order there.

It loads the modules, brings up loopback and qemu's user network (its host is
10.0.2.2) and carries the ports that are to be reached. What the command prints
goes to FOLDER/output.log, and its exit status to FOLDER/status, last of all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

MODULES = (
    "virtio_net",
    "wireguard",
    "tun",
    "veth",
    "nf_tables",
    "nft_ct",
    "nf_conntrack",
    "nf_nat",
    "nft_chain_nat",
    "nft_masq",
)
_HOST = "10.0.2.2"
_SETUP = (
    "ip link set lo up",
    "ip address add 10.0.2.15/24 dev {card}",
    "ip link set {card} up",
)


def main() -> None:
    """Do what the order says."""
    folder = Path(sys.argv[1])
    order = json.loads((folder / "order.json").read_text())
    subprocess.run(["modprobe", "--all", *MODULES], check=True)
    if order["network"]:
        _connect()
    env = (
        os.environ
        | {"PYTHONDONTWRITEBYTECODE": "1", "HOME": "/root"}
        | order["env"]
    )
    with ExitStack() as stack:
        if order["reach"]:
            rules = [
                f"tcp:127.0.0.1:{port}=tcp:{_HOST}:{port}"
                for port in order["reach"]
            ]
            words = [sys.executable, "-m", "network.forward", *rules]
            forward = stack.enter_context(
                subprocess.Popen(words, stdout=subprocess.PIPE)
            )
            stack.callback(forward.kill)
            assert forward.stdout is not None
            forward.stdout.readline()  # it says that it listens
        log = stack.enter_context((folder / "output.log").open("ab"))
        done = subprocess.run(
            order["argv"],
            cwd=order["cwd"],
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    (folder / "status").write_text(str(done.returncode))
    os.sync()


def _connect() -> None:
    cards = [
        path.name
        for path in Path("/sys/class/net").iterdir()
        if (path / "device").exists()
    ]
    for command in _SETUP:
        subprocess.run(command.format(card=cards[0]).split(), check=True)


if __name__ == "__main__":
    main()

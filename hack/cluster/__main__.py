"""`python -m cluster --programs FOLDER COMMAND...`: run a command on a machine of its own that is a Kubernetes node.

The command gets KUBECONFIG, the administrator's. Everything ends with the command.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cluster import namespaces
from cluster.images import write_image
from cluster.node import PAUSE, Node, Programs

_INSIDE = "--inside"


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster", description=__doc__
    )
    parser.add_argument(
        "--image",
        type=Path,
        action="append",
        default=[],
        help="archive of an image that the node gets; may be repeated",
    )
    parser.add_argument(
        "--programs",
        type=Path,
        required=True,
        help="folder of etcd, kube-apiserver, kubelet and the others",
    )
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)

    if not options.inside:
        again = [sys.executable, "-m", "cluster", *arguments]
        again.insert(3, _INSIDE)
        namespaces.enter(again)

    return _run(options)


def _run(options: argparse.Namespace) -> int:
    """Furnish the node, start it, run the command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    keep = os.environ.get("CEREBRO_CLUSTER_FOLDER")
    folder = Path(
        keep or tempfile.mkdtemp(prefix="cerebro-cluster-", dir="/var/tmp")
    )
    namespaces.furnish()
    containerd = shutil.which("containerd")
    busybox = shutil.which("busybox")
    if containerd is None or busybox is None:
        sys.exit("error: containerd and busybox-static are needed")

    node = Node(folder, Programs(options.programs, Path(containerd)))
    try:
        with node.running():
            _bring_images(node, Path(busybox), options.image)
            environment = {
                **os.environ,
                "KUBECONFIG": str(node.kubeconfig),
                "CEREBRO_CLUSTER": str(node.folder),
            }
            environment["PATH"] += f":{options.programs}"
            done = subprocess.run(
                options.command, env=environment, check=False
            )
            return done.returncode
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _bring_images(node: Node, busybox: Path, archives: list[Path]) -> None:
    pause = write_image(
        node.folder / "pause.tar",
        PAUSE,
        {"busybox": busybox.read_bytes()},
        ["/busybox", "sleep", "2147483647"],
    )
    for archive in [pause, *archives]:
        node.import_image(archive)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""`python -m cluster COMMAND...`: run a command on a machine of its own that is
a Kubernetes node.

The command gets KUBECONFIG, the administrator's. Everything ends with the
command.
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
from controlplane import binaries

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
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="where data and logs go, to be kept; default: a folder that goes",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="only say whether this machine can have a node",
    )
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)

    if not options.inside and (reason := namespaces.why_not()):
        sys.exit(f"error: {reason}")

    if options.check:
        return 0

    if not options.command:
        parser.error("a command is needed")

    if not options.inside:
        # Whatever is missing is built before, with the machine's network.
        binaries.ensure_node()
        again = [sys.executable, "-m", "cluster", *arguments]
        again.insert(3, _INSIDE)
        namespaces.enter(again)

    return _run(options)


def _run(options: argparse.Namespace) -> int:
    """Furnish the node, start it, run the command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = options.keep or Path(tempfile.mkdtemp(prefix="cerebro-cluster-"))
    folder.mkdir(parents=True, exist_ok=True)
    namespaces.furnish()
    containerd = shutil.which("containerd")
    busybox = shutil.which("busybox")
    if containerd is None or busybox is None:
        sys.exit("error: containerd and busybox-static are needed")

    programs = binaries.ensure_node()
    node = Node(folder.resolve(), Programs(programs, Path(containerd)))
    try:
        with node.running():
            _bring_images(node, Path(busybox), options.image)
            environment = {
                **os.environ,
                "KUBECONFIG": str(node.kubeconfig),
                "CEREBRO_CLUSTER": str(node.folder),
            }
            environment["PATH"] += f":{programs}"
            done = subprocess.run(
                options.command, env=environment, check=False
            )
            return done.returncode
    finally:
        if options.keep is None:
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

"""The node's own view of the machine: mounts, processes, network and host name that nobody else has.

Everything is private to these namespaces and goes with them.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NODE = "node"
ADDRESS = "10.90.0.1"
_NETWORK = "24"
_BRIDGE = "uplink"
"""The node's interface: a bridge without ports, as there is no dummy device
everywhere.
"""

_OWN_FOLDERS = (
    "/run",
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
    "/usr/libexec/kubernetes",
    "/opt/containerd",
)
_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
}
"""What the kubelet wants of the whole machine; it is shown these values, and
the machine keeps its own.
"""


_UNSHARE = (
    *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"),
    *("--net", "--uts", "--ipc", "--mount-proc"),
)


def why_not() -> str | None:
    """Return why this machine cannot have a node in namespaces; None if it
    can, as far as can be told before.
    """
    if os.geteuid() != 0:
        return "a node in namespaces needs root: run this as root"

    if not Path("/dev/net/tun").exists():
        return "a node needs /dev/net/tun for its tunnels: modprobe tun, or let the container have that device"

    # A container without CAP_SYS_ADMIN may neither make them nor mount.
    tried = [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/run"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    if done.returncode:
        return (
            "this machine gives no namespaces to have a node in "
            f"({done.stderr.strip()}): in a container, run it privileged"
        )

    return None


def enter(command: Sequence[str]) -> None:
    """Replace this process by `command` in new namespaces, of which it is the
    first process: all others end with it.
    """
    os.execvp(_UNSHARE[0], [*_UNSHARE, *command])  # noqa: S606 - no shell is wanted


def furnish() -> None:
    """Mount what the node has for itself, and give it its network."""
    _run("mount", "--make-rprivate", "/")
    for folder in _OWN_FOLDERS:
        Path(folder).mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", folder)

    for name, value in _SYSCTLS.items():
        shown = Path("/run") / name.replace("/", ".")
        shown.write_text(f"{value}\n")
        _run("mount", "--bind", str(shown), f"/proc/sys/{name}")

    _run("hostname", NODE)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", _BRIDGE, "type", "bridge")
    _run("ip", "address", "add", f"{ADDRESS}/{_NETWORK}", "dev", _BRIDGE)
    _run("ip", "link", "set", _BRIDGE, "up")
    _run("ip", "route", "add", "default", "dev", _BRIDGE)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}: {done.stderr.strip()}")

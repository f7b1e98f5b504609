"""Boots this machine's own root file system under another kernel, runs one command there, and ends.

qemu without KVM: it boots in some ten seconds and is some ten times slower than the machine. All files are there
to read and can be written to, which is forgotten; the one folder that is given keeps what is written to it. Ports
of 127.0.0.1 outside can be had as the same ports inside.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from controlplane.processes import Process, end, launch
from vm import boot

_BOOT = Path("/boot")
_MODULES = Path("/lib/modules")
_INSIDE = "vm.inside"
_HACK = Path(__file__).resolve().parent.parent
_PACKAGES = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static", "modprobe": "kmod"}


class MachineError(Exception):
    """The machine did not boot, or did not end within its deadline; says what it printed last."""


@dataclass(frozen=True)
class Order:
    """What is run inside; written to the folder as `order.json`."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    reach: tuple[int, ...]


def supported() -> str | None:
    """Return why no such machine can be booted here; None where it can."""
    missing = [
        package for program, package in _PACKAGES.items() if shutil.which(program, path=boot.PATH) is None
    ]
    if missing:
        return f"install {', '.join(missing)}"
    if _kernel() is None:
        return "install a kernel with WireGuard and 9p, such as the Debian package linux-image-rt-amd64"
    return None


def run(
    argv: Sequence[str | Path],
    folder: Path,
    *,
    deadline: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    reach: Sequence[int] = (),
    processors: int = 1,
    follow: bool = False,
) -> int:
    """Run `argv` as root inside, in `cwd` [the current folder], and return its exit status.

    `folder` exists and is the same inside; its `output.log` has what the command printed, and is shown as it
    comes with `follow`; `console.log` is the kernel's. `deadline`: seconds for all of it, boot
    included. `env` is added to the environment inside, which is otherwise small. `reach`: ports of 127.0.0.1
    out here that are to be reached inside as 127.0.0.1 too. A second one of the `processors` takes more from
    other programs out here than it gives to those inside. Raises MachineError. The machine dies with this process.
    """
    kernel = _kernel()
    if kernel is None or (reason := supported()):
        raise MachineError(reason or "no kernel")
    order = Order(tuple(map(str, argv)), str(cwd or Path.cwd()), dict(env or {}), tuple(reach))
    (folder / "order.json").write_text(json.dumps(order.__dict__))
    status, log, console = (folder / name for name in ("status", "output.log", "console.log"))
    for path in (status, log, console):
        path.unlink(missing_ok=True)
    log.touch()
    child = launch(Process("vm", _words(kernel, folder, reach, processors), {"PATH": boot.PATH}), console)
    until = time.monotonic() + deadline
    shown = 0
    try:
        while child.poll() is None and time.monotonic() < until:
            shown = _show(log, shown) if follow else 0
            time.sleep(0.2)
        ended = child.poll() is not None
    finally:
        end(child, grace=0)
    if follow:
        _show(log, shown)
    if not status.exists():
        what = "ended before its command did" if ended else f"was not done within {deadline:.0f} s"
        raise MachineError(f"the virtual machine {what}; the last words are:\n{_last(console)}\n{_last(log)}")
    return int(status.read_text())


def _words(kernel: Path, folder: Path, reach: Sequence[int], processors: int) -> tuple[str, ...]:
    inside = ("env", f"PATH={boot.PATH}", f"PYTHONPATH={_HACK}", sys.executable, "-m", _INSIDE, str(folder))
    initial = folder / "initial.cpio"
    initial.write_bytes(boot.initial_files(kernel, folder, inside))
    return boot.qemu_words(kernel, initial, folder, processors=processors, network=bool(reach))


def _kernel() -> Path | None:
    """Return the newest kernel that has what is needed as modules of its own."""
    needed = ("kernel/drivers/net/wireguard", "kernel/fs/9p")
    found = [
        image
        for image in _BOOT.glob("vmlinuz-*")
        if all((_MODULES / image.name.removeprefix("vmlinuz-") / path).exists() for path in needed)
        and os.access(image, os.R_OK)
    ]
    return max(found, key=lambda image: image.stat().st_mtime, default=None)


def _last(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:] if log.exists() else ""


def _show(log: Path, shown: int) -> int:
    """Print what the log has got since; return how far it was shown."""
    with log.open("rb") as file:
        file.seek(shown)
        new = file.read()
    sys.stdout.write(new.decode(errors="replace"))
    sys.stdout.flush()
    return shown + len(new)

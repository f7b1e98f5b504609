"""Boots this machine's own root file system under another kernel, runs one
command there, and ends.

qemu without KVM: it boots in some ten seconds and is some ten times slower
than the machine. All files are there to read and can be written to, which is
forgotten; the one folder that is given keeps what is written to it. Ports of
127.0.0.1 outside can be had as the same ports inside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controlplane.processes import Process, end, free_port, launch
from vm import boot, remote

_BOOT = Path("/boot")
_MODULES = Path("/lib/modules")
_INSIDE = "vm.inside"
_HACK = Path(__file__).resolve().parent.parent
_PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "modprobe": "kmod",
}


_FILES = ("status", "output.log", "console.log")


class MachineError(Exception):
    """The machine did not boot, or did not end within its deadline; says what
    it printed last.
    """


@dataclass(frozen=True)
class Order:
    """What is run inside; written to the folder as `order.json`."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    reach: tuple[int, ...]


@dataclass(frozen=True)
class Serving:
    """A machine that takes orders."""

    words: tuple[str, ...]
    """Before a program they run it there."""
    ports: tuple[int, ...]
    """Of 127.0.0.1 out here; they lead to the same ports of the machine."""


def supported() -> str | None:
    """Return why no such machine can be booted here; None where it can."""
    missing = [
        package
        for program, package in _PACKAGES.items()
        if shutil.which(program, path=boot.PATH) is None
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
    """Run `argv` as root inside, in `cwd` [the current folder], and return its
    exit status.

    `folder` exists and is the same inside; its `output.log` has what the
    command printed, and is shown as it comes with `follow`; `console.log` is
    the kernel's. `deadline`: seconds for all of it, boot included. `env` is
    added to the environment inside, which is otherwise small. `reach`: ports
    of 127.0.0.1 out here that are to be reached inside as 127.0.0.1 too. A
    second one of the `processors` takes more from other programs out here than
    it gives to those inside. Raises MachineError. The machine dies with this
    process.
    """
    order = Order(
        tuple(map(str, argv)),
        str(cwd or Path.cwd()),
        dict(env or {}),
        tuple(reach),
    )
    child = _start(order, folder, processors, network=bool(reach))
    status, log, console = (folder / name for name in _FILES)
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
        what = (
            "ended before its command did"
            if ended
            else f"was not done within {deadline:.0f} s"
        )
        raise MachineError(
            f"the virtual machine {what}; the last words are:\n{_last(console)}\n{_last(log)}"
        )
    return int(status.read_text())


@contextmanager
def serving(
    folder: Path, *, processors: int = 1, ports: int = 8, within: float = 300.0
) -> Iterator[Serving]:
    """Have a machine in which programs can be run meanwhile; `folder` as for
    `run`. Raises MachineError.
    """
    forwarded = [free_port() for _ in range(ports + 1)]
    order = Order(
        (
            sys.executable,
            str(Path(remote.__file__)),
            "serve",
            str(forwarded[0]),
        ),
        "/",
        {},
        (),
    )
    child = _start(
        order, folder, processors, network=True, forwarded=forwarded
    )
    _, log, console = (folder / name for name in _FILES)
    until = time.monotonic() + within
    try:
        while "serving" not in _last(log):
            if child.poll() is not None or time.monotonic() > until:
                raise MachineError(
                    f"the virtual machine does not serve:\n{_last(console)}\n{_last(log)}"
                )
            time.sleep(0.2)
        words = (
            sys.executable,
            "-I",
            "-S",
            str(Path(remote.__file__)),
            str(forwarded[0]),
        )
        yield Serving(words, tuple(forwarded[1:]))
    finally:
        end(child, grace=0)


def _start(
    order: Order,
    folder: Path,
    processors: int,
    *,
    network: bool,
    forwarded: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    kernel = _kernel()
    if kernel is None or (reason := supported()):
        raise MachineError(reason or "no kernel")
    (folder / "order.json").write_text(
        json.dumps({**order.__dict__, "network": network})
    )
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)
    (folder / _FILES[1]).touch()
    initial = folder / "initial.cpio"
    inside = (
        "env",
        f"PATH={boot.PATH}",
        f"PYTHONPATH={_HACK}",
        sys.executable,
        "-m",
        _INSIDE,
        str(folder),
    )
    initial.write_bytes(boot.initial_files(kernel, folder, inside))
    ports = forwarded if network else None
    words = boot.qemu_words(
        kernel, initial, folder, processors=processors, ports=ports
    )
    return launch(
        Process("vm", words, {"PATH": boot.PATH}), folder / _FILES[2]
    )


def _kernel() -> Path | None:
    """Return the newest kernel that has what is needed as modules of its own."""
    needed = ("kernel/drivers/net/wireguard", "kernel/fs/9p")
    found = [
        image
        for image in _BOOT.glob("vmlinuz-*")
        if all(
            (_MODULES / image.name.removeprefix("vmlinuz-") / path).exists()
            for path in needed
        )
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

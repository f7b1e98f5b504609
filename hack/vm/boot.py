"""What boots: the initial file system, which mounts this machine's own over
9p, and the words for qemu.

The root is an overlay: below it all files of this machine, read through a
cache, since each look at a file is slow; above it memory, which takes what is
written and forgets it. One folder is mounted for writing.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

MEMORY = "3G"
PATH = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
)
"""Where programs are looked for, outside and inside."""

_MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
_UNPACK = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}
_9P = "trans=virtio,version=9p2000.L,msize=512000,access=any"
# `switch_root` and not `chroot`: who enters a mount namespace starts at its
# real root.
_INIT = """#!/busybox sh
/busybox mkdir /proc /sys /lower /upper /new
/busybox mount -t proc proc /proc
/busybox mount -t sysfs sys /sys
/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /busybox insmod $module; done
/busybox mount -t 9p -o ro,cache=loose,{options} root /lower
/busybox mount -t tmpfs upper /upper
/busybox mkdir /upper/files /upper/work
/busybox mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work root /new
/busybox mkdir -p /new{folder}
/busybox mount -t 9p -o {options} folder /new{folder}
/busybox mount -t tmpfs -o mode=755 run /new/run
for mounted in proc sys dev; do /busybox mount --move /$mounted /new/$mounted; done
/busybox mkdir /new/dev/shm /new/dev/pts
/busybox mount -t tmpfs shm /new/dev/shm
/busybox mount -t devpts pts /new/dev/pts
/busybox ln -s /proc/self/fd /new/dev/fd
for number in 0:stdin 1:stdout 2:stderr; do /busybox ln -s fd/${{number%:*}} /new/dev/${{number#*:}}; done
exec /busybox switch_root /new /bin/sh -c {command}
"""


def initial_files(kernel: Path, folder: Path, command: Sequence[str]) -> bytes:
    """Return the initial file system, a cpio archive, for a kernel at
    `/boot/vmlinuz-VERSION`.

    It runs `command` with `folder` mounted for writing, and ends the machine
    after it.
    """
    busybox = _program("busybox")
    script = f"{shlex.join(command)}; {shlex.quote(busybox)} reboot -f"
    init = _INIT.format(
        options=_9P,
        folder=shlex.quote(str(folder)),
        command=shlex.quote(script),
    )
    files: dict[str, bytes | None] = {
        "init": init.encode(),
        "busybox": Path(busybox).read_bytes(),
        "modules": None,
    }
    for number, module in enumerate(
        _needed(kernel.name.removeprefix("vmlinuz-"))
    ):
        files[f"modules/{number:02}"] = _unpacked(module)
    parts = [_member(name, data) for name, data in files.items()]
    return b"".join([*parts, _member("TRAILER!!!", b"")])


def qemu_words(
    kernel: Path,
    initial: Path,
    folder: Path,
    *,
    processors: int,
    ports: Sequence[int] | None,
) -> tuple[str, ...]:
    """Return the words that boot a machine, the kernel's words on stdout.

    `ports` of 127.0.0.1 here lead to the same ports there; None leaves it
    without a network.
    """
    forwards = "".join(
        f",hostfwd=tcp:127.0.0.1:{port}-:{port}" for port in ports or ()
    )
    card = (
        "-netdev",
        f"user,id=net{forwards}",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
    )
    return (
        *(
            "qemu-system-x86_64",
            "-machine",
            "q35",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
        ),
        *(
            "-accel",
            "tcg,tb-size=512",
            "-smp",
            str(processors),
            "-m",
            MEMORY,
            "-display",
            "none",
            "-serial",
            "stdio",
        ),
        *("-kernel", str(kernel), "-initrd", str(initial)),
        *(
            "-append",
            "console=ttyS0 quiet panic=-1 reboot=t mitigations=off rcupdate.rcu_expedited=1",
        ),
        *_shared("root", "/", ",readonly=on"),
        *_shared("folder", str(folder), ""),
        *(() if ports is None else card),
    )


def _program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    assert found is not None, name
    return found


def _shared(name: str, path: str, how: str) -> Iterator[str]:
    yield from (
        "-fsdev",
        f"local,id={name},path={path},security_model=none,multidevs=remap{how}",
    )
    yield from ("-device", f"virtio-9p-pci,fsdev={name},mount_tag={name}")


def _needed(version: str) -> list[Path]:
    """Return the files of the modules, each after those that it needs."""
    found: dict[Path, None] = {}
    for module in _MODULES:
        words = [
            _program("modprobe"),
            "--set-version",
            version,
            "--show-depends",
            module,
        ]
        shown = subprocess.run(
            words, capture_output=True, text=True, check=True
        ).stdout
        found |= {
            Path(line.split()[1]): None
            for line in shown.splitlines()
            if line.startswith("insmod")
        }
    return list(found)


def _unpacked(module: Path) -> bytes:
    if module.suffix not in _UNPACK:
        return module.read_bytes()
    words = [_UNPACK[module.suffix], "--decompress", "--stdout", str(module)]
    return subprocess.run(words, capture_output=True, check=True).stdout


def _member(name: str, data: bytes | None) -> bytes:
    """Return one file of a cpio archive in the `newc` form, or a folder where
    there is no data.
    """
    mode, size = (0o040755, 0) if data is None else (0o100755, len(data))
    fields = (0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name) + 1, 0)
    head = (
        b"070701"
        + b"".join(b"%08X" % field for field in fields)
        + name.encode()
        + b"\0"
    )
    return _padded(head) + _padded(data or b"")


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)

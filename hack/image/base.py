"""The image that ours is built on: Debian slim, from a registry or made here."""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from controlplane.progress import Progress
from image.engine import PULL_TIMEOUT, Engine, ImageError

RELEASE = "bookworm"
OFFICIAL = f"docker.io/library/debian:{RELEASE}-slim"
MADE_HERE = f"localhost/cerebro-base:{RELEASE}"

_UNUSED = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/doc",
)
_KEPT = "copyright"
"""The name of the one file of a package's documentation that stays."""


def ensure_base(engine: Engine) -> str:
    """Return the reference of a base that is on this machine: the official
    one if a registry can be reached, else one made of Debian's packages.

    Raises ImageError.
    """
    for reference in (OFFICIAL, MADE_HERE):
        if engine.has(reference):
            return reference

    try:
        with Progress(f"fetching {OFFICIAL}"):
            engine.run("pull", OFFICIAL, timeout=PULL_TIMEOUT)
    except ImageError:
        make_base(engine)
        return MADE_HERE

    return OFFICIAL


def make_base(engine: Engine) -> None:
    """Make the base out of Debian's packages. Needs root and debootstrap."""
    program = shutil.which("debootstrap")
    if program is None:
        raise ImageError(
            f"no registry gives {OFFICIAL}, and debootstrap is not installed to make a base here: "
            "apt-get install debootstrap"
        )

    with (
        tempfile.TemporaryDirectory(prefix="cerebro-base-") as scratch,
        Progress(f"making {MADE_HERE} of Debian's packages"),
    ):
        root = Path(scratch) / "root"
        done = subprocess.run(
            [program, "--variant=minbase", RELEASE, str(root)],
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        if done.returncode:
            end = "\n".join(done.stdout.strip().splitlines()[-5:])
            raise ImageError(f"debootstrap failed:\n{end}")

        archive = Path(scratch) / "base.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".", filter=_needed)

        engine.run("import", str(archive), MADE_HERE)


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Return a member that belongs into the base, None for one that does not."""
    path = member.name.removeprefix("./")
    inside = any(path.startswith(f"{folder}/") for folder in _UNUSED)
    if not inside or member.isdir():
        return member

    return member if Path(path).name == _KEPT else None

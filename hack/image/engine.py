"""The program that builds images: podman, else docker."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUILD_TIMEOUT = 3600.0
PULL_TIMEOUT = 120.0

_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Debian's file of authorities: a build behind a proxy of the organisation
needs those of this machine.
"""


class ImageError(RuntimeError):
    """The image cannot be built; the message says why."""


class Engine:
    """podman or docker; both know the same commands."""

    def __init__(self, program: str) -> None:
        self.name = Path(program).name
        self._program = program

    def run(self, *arguments: str, timeout: float = BUILD_TIMEOUT) -> str:
        """Run a command; return what it printed. Raises ImageError."""
        command = [self._program, *arguments]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ImageError(
                f"{' '.join(command[:2])} did not end within {timeout:.0f} s"
            ) from None

        if done.returncode:
            end = "\n".join(done.stderr.strip().splitlines()[-15:])
            raise ImageError(f"{' '.join(command[:2])} failed:\n{end}")

        return done.stdout.strip()

    def has(self, reference: str) -> bool:
        """Return whether an image is on this machine."""
        try:
            self.run("image", "inspect", reference, timeout=60)
        except ImageError:
            return False

        return True

    def build(
        self, context: Path, dockerfile: str, tag: str, **args: str
    ) -> None:
        """Build an image. `args` are the Dockerfile's arguments."""
        command = ["build", "--network=host", "-f", dockerfile, "-t", tag]

        for name, value in args.items():
            command += ["--build-arg", f"{name.upper()}={value}"]

        if self.name == "podman":
            # Works also where a container may not be started.
            command += ["--isolation=chroot"]
            if _AUTHORITIES.exists():
                command += [
                    "--volume",
                    f"{_AUTHORITIES}:{_AUTHORITIES}:ro",
                    "--build-arg",
                    f"PIP_CERT={_AUTHORITIES}",
                ]

        self.run(*command, str(context))

    def save(self, archive: Path, *references: str) -> None:
        """Write images as one archive, as a node imports it."""
        archive.unlink(missing_ok=True)
        form = ["--multi-image-archive"] if self.name == "podman" else []
        self.run("save", *form, "--output", str(archive), *references)

    @contextmanager
    def exported(self, reference: str, archive: Path) -> Iterator[Path]:
        """Give the image's files as a tar archive, which lasts as long as the
        context.
        """
        container = self.run("create", reference, "version")
        try:
            self.run("export", "--output", str(archive), container)
            yield archive
        finally:
            self.run("rm", "--force", container)
            archive.unlink(missing_ok=True)


def installed_engine(wanted: str | None = None) -> Engine:
    """Return the engine of this machine. Raises ImageError if it has none."""
    for name in [wanted] if wanted else ["podman", "docker"]:
        program = shutil.which(name)
        if program is not None:
            return Engine(program)

    raise ImageError(
        f"{wanted or 'neither podman nor docker'} is not installed: apt-get install podman"
    )

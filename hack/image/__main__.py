"""`python -m image build|audit`: build the container image and say what is in
it; look for known faults of its packages.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from controlplane.progress import Progress
from image.audit import audit
from image.base import ensure_base
from image.contents import Package, packages_in
from image.engine import Engine, ImageError, installed_engine
from image.previous import build_previous
from image.sbom import bill_of_materials

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "deploy" / "image" / "requirements.lock"
DOCKERFILE = "deploy/image/Dockerfile"


def main(arguments: list[str]) -> int:
    """Run a command; 0: it is done, 1: it failed, or there are known faults."""
    parser = argparse.ArgumentParser(
        prog="python -m image", description=__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)

    build = commands.add_parser("build", help="build the image")
    build.add_argument("--name", default="localhost/cerebro")
    build.add_argument("--tag", default="dev", help="default: %(default)s")
    build.add_argument("--base", help="image to build on; default: Debian")
    build.add_argument(
        "--engine", help="podman or docker; default: which is installed"
    )
    build.add_argument(
        "--reports",
        type=Path,
        default=ROOT / ".local" / "image",
        help="folder of the bill of materials and the list of licences",
    )
    build.add_argument(
        "--archive",
        type=Path,
        help="write the image as an archive too, under its tag and under `next`, and that of the previous release",
    )
    commands.add_parser("audit", help="look for known faults of its packages")

    options = parser.parse_args(arguments)
    try:
        if options.command == "audit":
            return 1 if audit(LOCK) else 0

        _build(options)
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1

    return 0


def _build(options: argparse.Namespace) -> None:
    """Build the image and write the reports on it. Raises ImageError."""
    engine = installed_engine(options.engine)
    base = options.base or ensure_base(engine)
    reference = f"{options.name}:{options.tag}"

    with Progress(f"building {reference} on {base}"):
        engine.build(
            ROOT,
            DOCKERFILE,
            reference,
            base=base,
            version=options.tag,
            revision=_revision(),
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", _moment()),
        )

    options.reports.mkdir(parents=True, exist_ok=True)
    packages, size = _look_into(engine, reference, options.reports)

    bom = bill_of_materials(options.name, options.tag, packages)
    (options.reports / "sbom.json").write_text(bom + "\n")

    lines = [
        f"{package.kind}\t{package.name}\t{package.version}\t{', '.join(package.licences) or 'not named'}"
        for package in packages
    ]
    (options.reports / "licences.txt").write_text("\n".join(lines) + "\n")

    if options.archive is not None:
        later = f"{options.name}:next"
        engine.run("tag", reference, later)
        previous = build_previous(engine, options.name, reference)
        earlier = [] if previous is None else [previous]
        engine.save(options.archive, reference, later, *earlier)

    print(
        f"{reference}: {size / 1e6:.0f} MB of files, {len(packages)} packages; "
        f"sbom.json and licences.txt are in {options.reports}"
    )


def _look_into(
    engine: Engine, reference: str, folder: Path
) -> tuple[list[Package], int]:
    """Return the packages in an image and the bytes of its files."""
    with engine.exported(reference, folder / "image.tar") as archive:
        with tarfile.open(archive) as tar:
            packages = packages_in(tar)

        with tarfile.open(archive) as tar:
            size = sum(member.size for member in tar)

    return packages, size


def _revision() -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _moment() -> time.struct_time:
    """Return when the image was made; SOURCE_DATE_EPOCH says it for a build
    that is to be the same each time.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return time.gmtime(int(epoch) if epoch else None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

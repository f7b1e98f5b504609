"""`python -m helm install|copy|package`: get Helm; bring the chart's copies up
to date; check the chart and pack it.
"""

import argparse
import sys
from pathlib import Path

from helm import binaries, copies

CHART = copies.CHART


def main(arguments: list[str]) -> int:
    """Run a command; 0: it is done, 1: it failed, or a copy is out of date."""
    parser = argparse.ArgumentParser(
        prog="python -m helm", description=__doc__
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="get Helm")

    copy = commands.add_parser("copy", help="write the chart's copies anew")
    copy.add_argument(
        "--check", action="store_true", help="write nothing, say what differs"
    )

    package = commands.add_parser("package", help="check and pack the chart")
    package.add_argument("folder", type=Path, help="where the archive goes")

    options = parser.parse_args(arguments)
    if options.command == "copy":
        return _copy(check=options.check)

    try:
        if options.command == "package":
            _package(options.folder)
        else:
            print(f"Helm {binaries.version()}: {binaries.ensure()}")
    except (binaries.MissingHelmError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1

    return 0


def _copy(*, check: bool) -> int:
    stale = copies.stale()
    if not check:
        copies.write()
        return 0

    for path in stale:
        print(
            f"error: {path} is not what it is copied from: make crds",
            file=sys.stderr,
        )

    return 1 if stale else 0


def _package(folder: Path) -> None:
    """Check the chart and pack it. Raises RuntimeError."""
    binaries.run("lint", "--strict", "--quiet", str(CHART))
    folder.mkdir(parents=True, exist_ok=True)
    told = binaries.run("package", str(CHART), "--destination", str(folder))
    print(told.strip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

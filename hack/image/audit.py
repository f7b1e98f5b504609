"""Looks for known faults in the Python packages of the image, with pip-audit."""

import json
import subprocess
import sys
from pathlib import Path

from image.engine import ImageError

TIMEOUT = 600.0


def audit(lock: Path) -> int:
    """Print the known faults of the packages that a lock file names; return
    how many there are.

    Raises ImageError if a package could not be looked up: nothing is known of
    it then.
    """
    command = [sys.executable, "-m", "pip_audit", "--format=json"]
    command += ["--progress-spinner=off", "--disable-pip", "--require-hashes"]
    done = subprocess.run(
        [*command, "-r", str(lock)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )

    try:
        report = json.loads(done.stdout)["dependencies"]
    except (KeyError, ValueError):
        raise ImageError(f"pip-audit failed:\n{done.stderr}") from None

    skipped = [item["name"] for item in report if "skip_reason" in item]
    if skipped:
        raise ImageError(
            f"{len(skipped)} of {len(report)} packages could not be looked up, {skipped[0]} is the first: "
            "PyPI's list of known faults was not reached"
        )

    faults = 0
    for item in report:
        for fault in item["vulns"]:
            faults += 1
            mended = ", ".join(fault["fix_versions"]) or "no version"
            print(
                f"{item['name']} {item['version']}: {fault['id']}, mended in {mended}"
            )

    print(f"{len(report)} packages, {faults} known faults")
    return faults

"""kstatus' own code as a program: the rules by which Helm and Flux wait."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from integration.simulator.judges import find_go, kept, run

SOURCE = Path(__file__).with_name("kstatusjudge")

Manifest = dict[str, Any]


def _made() -> Path:
    """The program; it is built once, which takes a minute."""

    def make(folder: Path) -> None:
        run(
            *(find_go(), "build", "-mod=readonly", "-ldflags", "-s -w"),
            *("-o", str(folder / "judge"), "."),
            folder=SOURCE,
        )

    return kept(SOURCE, make) / "judge"


def computed(objects: list[Manifest]) -> list[str]:
    """Return what kstatus makes of each object: Current, InProgress, Failed or another of its words."""
    done = subprocess.run(
        [str(_made())],
        input=json.dumps(objects),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    words: list[str] = json.loads(done.stdout)

    return words

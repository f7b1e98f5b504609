"""Argo CD's own code as a program, for its health scripts and actions, and its CRDs."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from integration.simulator.judges import find_go, kept, run

SOURCE = Path(__file__).with_name("argocdjudge")
MODULE = "github.com/argoproj/argo-cd/v3"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What Argo CD is to run: `health`, `discover` or `act`."""

    verb: str
    object: Manifest
    action: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What came out, or the text of an error."""

    result: Any
    error: str = ""


def made() -> Path:
    """Return the folder with the program and Argo CD's CRDs; it is built once, which takes minutes."""

    def make(folder: Path) -> None:
        go = find_go()
        run(
            *(go, "build", "-mod=readonly", "-ldflags", "-s -w"),
            *("-o", str(folder / "judge"), "."),
            folder=SOURCE,
        )
        where = (go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", MODULE)
        crds = Path(run(*where, folder=SOURCE).strip()) / "manifests" / "crds"
        for path in crds.glob("*-crd.yaml"):
            (folder / path.name).write_bytes(path.read_bytes())

    return kept(SOURCE, make)


def asked(data: dict[str, str], questions: list[Question]) -> list[Answer]:
    """Return Argo CD's answers, where its ConfigMap `argocd-cm` has that data."""
    document = {
        "configMap": data,
        "questions": [vars(question) for question in questions],
    }
    done = subprocess.run(
        [str(made() / "judge")],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    return [
        Answer(answer["result"], answer.get("error", ""))
        for answer in json.loads(done.stdout)
    ]

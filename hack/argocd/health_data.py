"""Test data of the health scripts, in Argo CD's own form. Pure."""

import re
from pathlib import Path
from typing import Any

from argocd.objects import (
    GENERATION,
    Manifest,
    in_state,
    is_ending,
    manifest,
    message_of,
)
from cerebro.resources.base import NOT_OBSERVED
from cerebro.resources.verdicts import VERDICTS, Health, Verdict

NOT_LOOKED = "nobody has looked at it yet"
STALE = "its last change is not looked at yet"


def health_tests(kind: str) -> dict[Path, Any]:
    """Return what the files of a kind hold, by their path in its folder."""
    tests = []
    files: dict[Path, Any] = {}
    for name, content, health, message in _cases(kind):
        path = Path("testdata") / f"{name}.yaml"
        files[path] = content
        tests.append(
            {
                "healthStatus": {"status": health, "message": message},
                "inputPath": str(path),
            }
        )

    return {**files, Path("health_test.yaml"): {"tests": tests}}


def _cases(kind: str) -> list[tuple[str, Manifest, Health, str]]:
    """Return name, object, health and message of each case."""
    # The default in the CRD; a Session's is 0, see its model.
    unseen = 0 if kind == "Session" else NOT_OBSERVED
    new = {**manifest(kind), "status": {"observedGeneration": unseen}}
    of_kind = [verdict for verdict in VERDICTS if verdict.kind == kind]
    stale = in_state(of_kind[0])
    stale["metadata"]["generation"] = GENERATION + 1
    cases: list[tuple[str, Manifest, Health, str]] = [
        ("new", new, "Progressing", NOT_LOOKED),
        ("changed", stale, "Progressing", STALE),
    ]

    for verdict in of_kind:
        words = f"{verdict.reason}: {message_of(verdict.reason)}"
        cases.append(
            (_name(verdict), in_state(verdict), verdict.health, words)
        )

    return cases


def _name(verdict: Verdict) -> str:
    """Return the name of the file: what tells the state from all others."""
    parts = [re.sub(r"(?<=[a-z])(?=[A-Z])", "-", verdict.reason)]
    if verdict.phase is not None and verdict.kind == "Session":
        parts.append("ending" if is_ending(verdict) else verdict.phase)

    if verdict.note:
        parts.append(verdict.note.replace(" ", "-"))

    return "-".join(parts).lower()

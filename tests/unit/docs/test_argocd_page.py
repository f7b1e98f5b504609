"""Argo CD's verdicts: each reason that the docs name has one, and what is made of the table is up to date."""

from __future__ import annotations

import re

import pytest

from argocd.__main__ import main
from argocd.files import ROOT, SCRIPTS
from argocd.verdicts import VERDICTS
from cerebro.resources.kinds import KINDS

ROW = re.compile(r"^\| (`[^|]+) \| ([^|]+) \|", re.MULTILINE)
REASON = re.compile(r"`([A-Z][A-Za-z0-9]+)`(?! \(Event)")
PASSING = re.compile(r"^  ([A-Z][A-Za-z0-9]+) = true,$", re.MULTILINE)
NO_REASON_OF_READY = {"IdentityChanged", "FinalizerTimeout", "FinalizerForced"}
"""Names of Events."""


def documented() -> set[tuple[str, str]]:
    """Kind and reason of each row in docs/operating.md."""
    page = (ROOT / "docs" / "operating.md").read_text()
    part = page.partition("## Conditions")[2].partition("\n## ")[0]
    rows = set()
    for reasons, on in ROW.findall(part):
        if "`Guarded`" in on:
            continue  # a condition beside Ready

        kinds = [kind for kind in KINDS if re.search(rf"\b{kind}\b", on)]
        if on == "both":
            kinds = ["Device", "Session"]
        elif on == "any":
            kinds = list(KINDS)

        assert kinds, on
        rows |= {
            (kind, reason)
            for kind in kinds
            for reason in REASON.findall(reasons)
            if reason not in NO_REASON_OF_READY
        }

    return rows


def test_each_reason_that_is_documented_has_a_verdict() -> None:
    decided = {(verdict.kind, verdict.reason) for verdict in VERDICTS}

    assert documented() - decided == set()


@pytest.mark.parametrize("kind", ["Hub", "Peer", "Device", "Session"])
def test_each_reason_that_a_script_names_is_in_the_table(kind: str) -> None:
    script = (SCRIPTS / kind / "health.lua").read_text()
    waited_for = {
        verdict.reason
        for verdict in VERDICTS
        if verdict.kind == kind and verdict.health == "Progressing"
    }

    assert set(PASSING.findall(script)) == waited_for


def test_what_is_made_of_the_table_and_the_scripts_is_up_to_date(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err

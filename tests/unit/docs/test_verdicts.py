"""One table of verdicts: each reason that the docs or the code name is in it, and what is made of it is up to date."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import cerebro
from argocd.__main__ import main
from argocd.files import ROOT
from cerebro.cli import verdicts_page
from cerebro.resources import reasons
from cerebro.resources.kinds import KINDS
from cerebro.resources.verdicts import VERDICTS, health_of

ROW = re.compile(r"^\| (`[^|]+) \| ([^|]+) \|", re.MULTILINE)
REASON = re.compile(r"`([A-Z][A-Za-z0-9]+)`(?! \(Event)")
NO_REASON_OF_READY = {"IdentityChanged", "FinalizerTimeout", "FinalizerForced"}
"""Names of Events."""

REASON_LIKE = re.compile(
    r"(?:[A-Z]+[a-z0-9]+){2,}[A-Z]*|[A-Z][a-z]+[A-Z]+|TLSFailed"
)
"""A text of several words in one. Reasons of a single word are too common a sight to be told from other texts."""

NO_REASONS = {
    "DeviceCommands",
    "HalfOpen",
    "IdentityChanged",
    "InterfaceUp",
    "LoggedIn",
    "NoLease",
    "OnRouter",
    "RouterClockAhead",
    "RouterClockJumped",
    "RouterClockNotSet",
    "TunnelUp",
}
"""Texts of that form in the code that no Ready or Enforced has as its reason."""


def documented() -> set[tuple[str, str]]:
    """Kind and reason of each row in docs/operating.md."""
    page = (ROOT / "docs" / "operating.md").read_text()
    part = page.partition("## Conditions")[2].partition("\n## ")[0]
    rows = set()
    for texts, on in ROW.findall(part):
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
            for reason in REASON.findall(texts)
            if reason not in NO_REASON_OF_READY
        }

    return rows


def named() -> set[str]:
    """Each text in the code that looks like a reason."""
    package = Path(cerebro.__file__).parent
    parts = ("agent", "operator", "domain", "routeros", "wireguard")
    paths = [
        *(path for part in parts for path in (package / part).rglob("*.py")),
        Path(reasons.__file__),
    ]

    return {
        node.value
        for path in paths
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and REASON_LIKE.fullmatch(node.value)
    }


def test_each_reason_that_is_documented_has_a_verdict() -> None:
    decided = {(verdict.kind, verdict.reason) for verdict in VERDICTS}

    assert documented() - decided == set()


def test_each_reason_that_the_code_has_has_a_verdict_and_no_other() -> None:
    decided = {verdict.reason for verdict in VERDICTS}
    known = named()

    assert known - decided - NO_REASONS == set()
    assert {
        reason for reason in decided if REASON_LIKE.fullmatch(reason)
    } <= known


def test_each_shared_reason_has_a_verdict() -> None:
    decided = {verdict.reason for verdict in VERDICTS}
    shared = {
        text
        for name, text in vars(reasons).items()
        if name.isupper() and isinstance(text, str)
    }

    assert shared - decided == set()


def test_a_reason_has_the_same_verdict_in_each_row_of_its_kind() -> None:
    for verdict in VERDICTS:
        assert verdict.health == health_of(
            verdict.kind, verdict.reason, verdict.status
        ), verdict


def test_what_is_made_of_the_table_and_the_scripts_is_up_to_date(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_the_page_is_up_to_date() -> None:
    page = ROOT / verdicts_page.PAGE

    assert page.read_text() == verdicts_page.render()

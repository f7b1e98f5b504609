"""D1: the roles of `deploy/` are those of the table that the page of rights is made of, and the page is up to date."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from rights.__main__ import main
from rights.granted import ROLES, Grant
from rights.page import ROOT
from rights.refused import REFUSALS

Named = tuple[str, str, str, str]
"""Group, resource, verb, and the object's name or nothing."""


def of_role(rules: Iterable[dict[str, Any]]) -> list[Named]:
    return sorted(
        (group, resource, verb, name)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    )


def of_table(grants: Iterable[Grant]) -> list[Named]:
    return sorted(
        (grant.group, resource, verb, name)
        for grant in grants
        for resource in grant.resources
        for verb in grant.verbs
        for name in grant.names or [""]
    )


def test_each_role_grants_what_the_table_says() -> None:
    roles = {}
    for path in sorted((ROOT / "deploy" / "base").glob("*-role.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] == "Role":
                name = document["metadata"]["name"]
                roles[name] = of_role(document["rules"])

    assert roles == {name: of_table(grants) for name, grants in ROLES.items()}


def test_nothing_is_both_granted_and_said_to_be_refused() -> None:
    for refusal in REFUSALS:
        for account in refusal.accounts:
            asked = {
                (ask.group, resource, verb)
                for ask in refusal.asks
                if ask.place == "here"
                for resource in ask.resources
                for verb in ask.verbs
            }
            plain = of_table(ROLES[account])
            granted = {right[:3] for right in plain if not right[3]}
            assert not asked & granted, refusal.what


def test_the_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err

"""What is written of a DeviceCommand that is over: its bounds, and what nobody sees."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cerebro.agent.devices.commands.status import (
    MOST_BYTES,
    Outcome,
    SentenceResult,
    ended_status,
    outcome_of,
    running_status,
)
from cerebro.resources import DeviceCommand
from cerebro.routeros.menus.sensitive import is_sensitive

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
COMMAND = DeviceCommand.model_validate(
    {
        "metadata": {"name": "c", "namespace": "ns", "generation": 1},
        "spec": {"deviceRef": {"name": "d"}, "sentences": [["/x/print"]]},
    }
)


def ended(outcome: Outcome) -> dict[str, Any]:
    """Return the status as the schema takes it."""
    status = ended_status(COMMAND, outcome, NOW)
    DeviceCommand.model_validate({**COMMAND.wire(), "status": status})
    return status


def test_a_command_that_runs_says_so_in_both_conditions() -> None:
    status = running_status(COMMAND, NOW)
    assert (status["phase"], status["startedAt"]) == (
        "Running",
        "2026-01-31T12:00:00Z",
    )
    types = {
        condition["type"]: condition["status"]
        for condition in status["conditions"]
    }
    assert types == {
        "Complete": "False",
        "Ready": "False",
        "Reconciling": "True",
    }


def test_all_that_was_taken_is_success_and_one_refusal_is_none() -> None:
    taken = SentenceResult([{"address": "10.5.50.10"}])
    refused = SentenceResult(refusal="no such item", category=0)
    assert outcome_of([taken]).phase == "Succeeded"

    status = ended(outcome_of([taken, refused]))
    assert status["phase"] == "Failed"
    assert status["results"] == [
        {"ok": True, "rows": [{"address": "10.5.50.10"}]},
        {"ok": False, "error": {"message": "no such item", "category": 0}},
    ]
    assert "1 of 2" in status["conditions"][0]["message"]


def test_c3_results_are_cut_at_512_kib() -> None:
    row = {"comment": "x" * 1000}
    status = ended(
        outcome_of([SentenceResult([row] * 1000), SentenceResult([row])])
    )
    assert status["truncated"] is True
    assert len(json.dumps(status["results"])) < MOST_BYTES + 1000
    assert len(status["results"][0]["rows"]) > 400
    assert status["results"][1] == {"ok": True}


def test_c3_one_row_has_bounds_too() -> None:
    huge = {"comment": "é" * 70_000, **{f"p{n}": "" for n in range(300)}}
    status = ended(outcome_of([SentenceResult([huge])]))
    (row,) = status["results"][0]["rows"]
    assert (len(row), len(row["comment"])) == (256, 65_536)
    assert status["truncated"] is True
    assert "truncated" not in ended(outcome_of([SentenceResult([{"a": "b"}])]))


def test_c3_what_is_secret_is_masked_wherever_it_stands() -> None:
    rows = [
        {
            "name": "guest",
            "password": "p4ss",
            "private-key": "k",
            "comment": "pin hidden-value!",
            "note": "hidden-value",
            "empty-secret": "",
        }
    ]
    results = [
        SentenceResult(rows),
        SentenceResult(refusal="bad value hidden-value"),
    ]
    status = ended(outcome_of(results, hidden=("hidden-value", "")))
    text = json.dumps(status)
    assert "hidden-value" not in text
    assert "p4ss" not in text
    assert status["results"][0]["rows"] == [
        {
            "name": "guest",
            "password": "***",
            "private-key": "***",
            "comment": "pin ***!",
            "note": "***",
            "empty-secret": "",
        }
    ]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("wpa2-pre-shared-key", True),
        ("preshared-key", True),
        ("authentication-password", True),
        ("ipsec-secret", True),
        ("security.passphrase", True),
        ("public-key", False),
        ("name", False),
        ("mac-address", False),
    ],
)
def test_a_property_is_secret_by_its_name(name: str, secret: bool) -> None:
    assert is_sensitive(name) is secret


def test_bytes_of_a_router_that_are_no_utf8_are_replaced() -> None:
    row = {"comment": b"caf\xe9".decode("utf-8", "surrogateescape")}
    status = ended(outcome_of([SentenceResult([row])]))
    assert status["results"][0]["rows"] == [{"comment": "caf�"}]

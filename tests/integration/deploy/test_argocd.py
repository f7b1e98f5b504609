"""Health scripts and actions for Argo CD, run by Argo CD's own Lua on all of their test data."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from argocd.action_data import AT, RESYNC_AT
from argocd.files import FOLDER, SCRIPTS
from cerebro.resources.kinds import KINDS
from controlplane.server import ControlPlane
from integration.deploy.argocd_judge import Answer, Manifest, Question, asked
from integration.deploy.manifests import dry_run, moved

pytestmark = pytest.mark.timeout(2400)  # Argo CD's code is built once

WITH_ACTIONS = ("Device", "Hub", "Peer", "Session")


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def config_map() -> dict[str, str]:
    data: dict[str, str] = loaded(FOLDER / "argocd-cm.yaml")["data"]
    return data


def health_tests(kind: str) -> list[Manifest]:
    tests: list[Manifest] = loaded(SCRIPTS / kind / "health_test.yaml")[
        "tests"
    ]
    return tests


def test_health_is_as_the_table_of_verdicts_says() -> None:
    cases = [(kind, test) for kind in KINDS for test in health_tests(kind)]
    objects = [
        loaded(SCRIPTS / kind / test["inputPath"]) for kind, test in cases
    ]

    answers = asked(
        config_map(), [Question("health", content) for content in objects]
    )

    told = {
        (kind, test["inputPath"]): answer
        for (kind, test), answer in zip(cases, answers, strict=True)
    }
    expected = {
        (kind, test["inputPath"]): Answer(test["healthStatus"])
        for kind, test in cases
    }
    assert told == expected


def test_what_is_being_deleted_is_progressing() -> None:
    """Argo CD says so without a look at the script."""
    path = SCRIPTS / "Device" / "actions" / "testdata" / "deleted.yaml"

    (answer,) = asked(config_map(), [Question("health", loaded(path))])

    assert answer.result["status"] == "Progressing"


@pytest.mark.parametrize("kind", WITH_ACTIONS)
def test_actions_are_offered_where_they_do_something(kind: str) -> None:
    folder = SCRIPTS / kind / "actions"
    tests = loaded(folder / "action_test.yaml")["discoveryTests"]

    answers = asked(
        config_map(),
        [
            Question("discover", loaded(folder / test["inputPath"]))
            for test in tests
        ],
    )

    for test, answer in zip(tests, answers, strict=True):
        offered = {
            action["name"]: (
                action.get("disabled", False),
                action.get("params") or [],
            )
            for action in answer.result
        }
        expected = {
            action["name"]: (action["disabled"], action.get("params", []))
            for action in test["result"]
        }
        assert offered == expected, test["inputPath"]


@pytest.mark.parametrize("kind", WITH_ACTIONS)
def test_actions_change_what_they_should_and_nothing_else(kind: str) -> None:
    folder = SCRIPTS / kind / "actions"
    tests = loaded(folder / "action_test.yaml")["actionTests"]

    answers = asked(
        config_map(),
        [
            Question(
                "act",
                loaded(folder / test["inputPath"]),
                test["action"],
                test.get("parameters", {}),
            )
            for test in tests
        ],
    )

    for test, answer in zip(tests, answers, strict=True):
        if "expectedErrorMessage" in test:
            assert test["expectedErrorMessage"] in answer.error
            continue

        expected = loaded(folder / test["expectedOutputPath"])
        assert answer.error == ""
        assert with_known_time(answer.result) == expected, test["action"]

    assert {test["action"] for test in tests} == {
        path.parent.name for path in folder.glob("*/action.lua")
    }


def with_known_time(content: Manifest) -> Manifest:
    """The object with the time of the test data, if it has the time of now."""
    annotations = content["metadata"].get("annotations", {})
    if RESYNC_AT in annotations:
        age = datetime.now(UTC) - datetime.fromisoformat(
            annotations[RESYNC_AT]
        )
        assert abs(age.total_seconds()) < 3600
        annotations[RESYNC_AT] = AT

    return content


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_data_are_objects_that_the_api_server_takes(
    control_plane: ControlPlane, kind: str
) -> None:
    """Strictly, with their status: what no object can be proves nothing."""
    contents = [loaded(path) for path in (SCRIPTS / kind).rglob("testdata/*")]
    for number, content in enumerate(contents):
        content["metadata"] |= {"name": f"{kind}-{number}".lower()}
        for field in ("generation", "deletionTimestamp"):
            content["metadata"].pop(field, None)

    dry_run(
        control_plane, *(moved(content, "default") for content in contents)
    )

"""The text of a Device's status. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cerebro.agent.devices.model import DeviceWarning
from cerebro.agent.devices.status import DeviceFindings, device_status
from cerebro.domain.conditions import Obstacle
from cerebro.resources import Device

NOW = datetime(2026, 5, 1, tzinfo=UTC)
API = {"credentialsSecretRef": {"name": "s"}}
NO_SERIAL = DeviceWarning("NoSerialNumber", "it is not checked")


def ready(findings: DeviceFindings, **spec: Any) -> dict[str, str]:
    """Return Ready of a Device with these findings."""
    device = Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns", "generation": 1},
            "spec": {"hubRef": {"name": "h"}, "api": API, **spec},
        }
    )

    status = device_status(device, findings, NOW)
    conditions: list[dict[str, str]] = status["conditions"]
    return next(entry for entry in conditions if entry["type"] == "Ready")


def test_a_warning_is_the_reason_where_all_is_well_otherwise() -> None:
    undone = DeviceWarning("ConfigurationUndone", "spec.manageConfig: no")
    findings = DeviceFindings(
        settled=True, warnings=(NO_SERIAL,), kept_configuration=(undone,)
    )
    told = ready(findings, manageConfig=True)
    assert (told["status"], told["reason"]) == ("True", "ConfigurationUndone")
    assert "the router is as wanted" in told["message"]
    assert "spec.manageConfig" in told["message"]
    assert "NoSerialNumber: it is not checked" in told["message"]


def test_a_warning_hides_no_trouble() -> None:
    obstacle = Obstacle("LoginRefused", "wrong user name or password")
    findings = DeviceFindings(
        reachable=True, obstacle=obstacle, warnings=(NO_SERIAL,)
    )

    told = ready(findings)
    assert (told["status"], told["reason"]) == ("False", "LoginRefused")
    assert "NoSerialNumber" in told["message"]


def test_without_a_warning_nothing_is_added() -> None:
    told = ready(DeviceFindings(settled=True))
    assert told["message"] == "the router is as wanted"


def test_in_dry_run_ready_says_whether_anything_would_be_written() -> None:
    planned = DeviceFindings(settled=True, plan=["/ip hotspot add"])
    nothing = DeviceFindings(settled=True, plan=[])

    told = ready(planned, dryRun=True)
    assert (told["status"], told["reason"]) == ("False", "DryRun")
    assert "status.plan" in told["message"]

    told = ready(nothing, dryRun=True)
    assert (told["status"], told["reason"]) == ("True", "DryRun")
    assert "the router is as wanted" in told["message"]


def test_a_device_of_which_the_operator_says_something_is_not_judged() -> None:
    """E9: who writes Ready writes what goes with it, and the agent leaves all of that alone."""
    trouble = {"type": "Ready", "status": "False", "reason": "PoolExhausted"}
    device = Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns", "generation": 1},
            "spec": {"hubRef": {"name": "h"}, "api": API},
            "status": {"conditions": [trouble]},
        }
    )

    status = device_status(device, DeviceFindings(settled=True), NOW)

    types = {condition["type"] for condition in status["conditions"]}
    assert not types & {"Ready", "Reconciling", "Stalled"}
    assert "observedGeneration" not in status

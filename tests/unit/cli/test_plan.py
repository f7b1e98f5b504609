"""What `cerebro plan` prints of a Device, and what it says where there is no plan."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.cli.plan import plan_of, why_no_plan
from cerebro.resources import Device

LINE = "/ip hotspot ip-binding add type=bypassed"


def device(*, dry_run: bool = True, **status: Any) -> Device:
    return Device.model_validate(
        {
            "apiVersion": "relay.cerebro.dev/v1alpha1",
            "kind": "Device",
            "metadata": {"name": "r1", "namespace": "wifi", "uid": "u"},
            "spec": {
                "dryRun": dry_run,
                "api": {
                    "host": "10.0.0.1",
                    "credentialsSecretRef": {"name": "router"},
                },
            },
            "status": status,
        }
    )


def condition(kind: str, status: str, reason: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "as it is",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def test_a_device_not_in_dry_run_says_how_to_get_a_plan() -> None:
    reason = why_no_plan(device(dry_run=False))
    assert reason is not None
    assert (
        "kubectl -n wifi patch device r1 --type=merge "
        """-p '{"spec":{"dryRun":true}}'"""
    ) in reason


def test_f6_a_device_whose_agent_is_in_dry_run_has_a_plan() -> None:
    """Of the agent's setting its condition tells."""
    configured = condition("Configured", "Unknown", "DryRun")
    held = device(dry_run=False, plan=[LINE], conditions=[configured])
    assert why_no_plan(held) is None


def test_a_router_that_was_not_compared_yet_is_said() -> None:
    waiting = device(conditions=[condition("Ready", "False", "NoAnswer")])
    reason = why_no_plan(waiting)
    assert reason is not None
    assert reason.endswith("NoAnswer: as it is")
    silent = why_no_plan(device())
    assert silent is not None
    assert silent.endswith("is the agent running?")


@pytest.mark.parametrize(
    ("plan", "printed"),
    [
        ([], ["# Device r1, router r1: nothing would be changed"]),
        ([LINE], ["# Device r1, router r1: lines to be run: 1", LINE]),
    ],
)
def test_a_plan_is_printed_as_it_is(
    plan: list[str], printed: list[str]
) -> None:
    said: list[str] = []
    known = device(
        plan=plan, conditions=[condition("Reachable", "True", "Reachable")]
    )
    assert why_no_plan(known) is None
    assert plan_of(known, said.append) == printed
    assert said == []


def test_a_plan_of_a_router_that_is_away_is_called_old() -> None:
    said: list[str] = []
    away = device(
        plan=[LINE],
        conditions=[
            condition("Reachable", "False", "NoAnswer"),
            condition("Ready", "False", "NoAnswer"),
        ],
    )
    assert plan_of(away, said.append)[1:] == [LINE]
    assert "The plan is that of the last look" in said[0]

"""What `cerebro replace` writes and waits for (rule B6). Pure."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from cerebro.cli.replacement import (
    Replacement,
    changes,
    described,
    device_obstacle,
    is_live,
    kept_by,
    owner_of_serial,
    patch_text,
    seen_serial_number,
    session_obstacle,
)
from cerebro.resources import Device, Session

OLD, NEW = "SN-OLD", "SN-NEW"
KEY = "k" * 42 + "A="


def condition(
    name: str, status: str, reason: str, *, generation: int = 2
) -> dict[str, Any]:
    return {
        "type": name,
        "status": status,
        "reason": reason,
        "message": f"{reason}: as it is",
        "observedGeneration": generation,
    }


def device(
    *conditions: dict[str, Any], status: Any = None, **spec: Any
) -> Device:
    """Return a Device of generation 2 whose router answered first as OLD."""
    return Device.model_validate(
        {
            "metadata": {"name": "r1", "namespace": "wifi", "generation": 2},
            "spec": {
                "hubRef": {"name": "h"},
                "api": {"credentialsSecretRef": {"name": "s"}},
                **spec,
            },
            "status": {
                "serialNumber": OLD,
                "conditions": list(conditions),
                **(status or {}),
            },
        }
    )


def wrong(*, generation: int = 2) -> Device:
    """Return the Device while NEW answers in its place."""
    refused = condition("Ready", "False", "WrongRouter", generation=generation)
    return device(refused, status={"answeringSerialNumber": NEW})


def session(
    name: str,
    phase: str | None,
    ready: tuple[str, str] | None = None,
    *,
    seen: int = 1,
    **spec: Any,
) -> Session:
    conditions = []
    if ready is not None:
        conditions = [condition("Ready", *ready, generation=seen)]
    return Session.model_validate(
        {
            "metadata": {"name": name, "namespace": "wifi", "generation": 1},
            "spec": {
                "deviceRef": {"name": "r1"},
                "client": {"macAddress": "AA:BB:CC:00:00:01"},
                **spec,
            },
            "status": {
                "phase": phase,
                "conditions": conditions,
                "observedGeneration": seen,
            },
        }
    )


def test_b6_the_router_that_answers_is_taken_by_a_current_status_only() -> (
    None
):
    assert seen_serial_number(wrong()) == NEW
    assert seen_serial_number(wrong(generation=1)) is None
    ready = condition("Ready", "True", "Equal")
    assert seen_serial_number(device(ready)) is None
    assert seen_serial_number(device()) is None


@pytest.mark.parametrize(
    ("spec", "wanted", "fields"),
    [
        ({}, Replacement(NEW), {"serialNumber": NEW}),
        ({"serialNumber": OLD}, Replacement(NEW), {"serialNumber": NEW}),
        ({"serialNumber": "sn-new "}, Replacement(NEW), {}),
        ({}, Replacement(None, KEY), {"publicKey": KEY}),
        ({"publicKey": KEY}, Replacement(None, KEY), {}),
        ({}, Replacement(), {}),
    ],
)
def test_b6_only_what_differs_is_written(
    spec: dict[str, Any], wanted: Replacement, fields: dict[str, str]
) -> None:
    """Also a serial number that only the status has is written into the spec."""
    assert changes(device(**spec), wanted) == fields


def test_b6_a_person_sees_both_serial_numbers_before_the_write() -> None:
    text = "\n".join(described(wrong(), {"serialNumber": NEW}))
    assert OLD in text
    assert f"answers now: serial number {NEW}" in text
    assert f"spec.serialNumber: {NEW}" in text


def test_b6_a_router_of_another_device_is_named() -> None:
    """Case T9: by its spec, else by what was recorded; the Device itself does not count."""
    other = device().model_copy(deep=True)
    other.metadata.name = "r2"
    assert owner_of_serial([other], "r1", OLD.lower()) == "r2"
    assert owner_of_serial([other], "r2", OLD) is None
    assert owner_of_serial([other], "r1", NEW) is None


@pytest.mark.parametrize(
    ("metadata", "keeper"),
    [
        ({}, None),
        ({"labels": {"argocd.argoproj.io/instance": "wifi"}}, "Argo CD"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "wifi"}}, "Flux"),
        ({"managedFields": [{"manager": "argocd-controller"}]}, "Argo CD"),
        ({"managedFields": [{"manager": "kustomize-controller"}]}, "Flux"),
        ({"managedFields": [{"manager": "kubectl-client-side-apply"}]}, None),
        ({"labels": None, "annotations": {"example.net/owner": "J"}}, None),
    ],
)
def test_b6_a_device_from_git_is_known(
    metadata: dict[str, Any], keeper: str | None
) -> None:
    assert kept_by(metadata) == keeper


def test_b6_the_printed_change_names_its_device() -> None:
    patch = yaml.safe_load(patch_text(device(), {"serialNumber": NEW}))
    assert patch == {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Device",
        "metadata": {"name": "r1", "namespace": "wifi"},
        "spec": {"serialNumber": NEW},
    }


def test_b6_a_serial_number_that_looks_like_a_number_has_quotes() -> None:
    """kubectl reads `8E120456` as a number, and a number is refused."""
    text = patch_text(device(), {"serialNumber": "8E120456"})
    assert "serialNumber: '8E120456'\n" in text


def test_b6_the_device_counts_once_its_changed_spec_is_kept() -> None:
    equal = condition("Ready", "True", "Equal")
    kept = condition("Configured", "True", "Equal")
    there = {"serialNumber": NEW}
    wanted = Replacement(NEW)
    assert device_obstacle(device(equal, kept, status=there), wanted) is None
    assert device_obstacle(device(equal, kept), Replacement()) is None

    late = condition("Configured", "True", "Equal", generation=1)
    changing = condition("Configured", "False", "Changing")
    for conditions, told in (
        ((equal,), "Configured is not reported"),
        ((equal, late), "Configured is not reported"),
        ((equal, changing), "Configured is False, Changing"),
        ((equal, kept), f"serialNumber is {OLD} still"),
    ):
        assert told in (device_obstacle(device(*conditions), wanted) or "")

    chr_ready = condition("Ready", "True", "NoSerialNumber")
    assert device_obstacle(device(chr_ready, kept), wanted) is None


def test_b6_all_live_sessions_count_and_no_others() -> None:
    active = session("a", "Active", ("True", "Granted"))
    ended = session("b", "Expired")
    revoked = session("c", "Active", ("False", "WrongRouter"), revoked=True)
    assert session_obstacle([active, ended, revoked]) is None
    assert [is_live(each) for each in (active, ended, revoked)] == [
        True,
        False,
        False,
    ]

    stale = session("d", "Active", ("True", "Granted"), seen=0)
    waits = session("e", "Pending", ("False", "WrongRouter"))
    obstacle = session_obstacle([active, stale, waits])
    assert obstacle == (
        "not Active yet: 2 Sessions (d Granted, e WrongRouter)"
    )

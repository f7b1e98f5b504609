"""Rule B6: which router a Device means. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cerebro.agent.devices.findings import after_connect, after_failure
from cerebro.agent.devices.identity import (
    WrongRouter,
    check_serial_number,
    identity_warnings,
    recorded_serial_number,
    renaming,
)
from cerebro.agent.devices.model import RouterFacts
from cerebro.agent.devices.status import DeviceFindings, device_status
from cerebro.resources import Device
from cerebro.routeros.client.errors import Unreachable

A, B = RouterFacts(serial_number="A1"), RouterFacts(serial_number="B2")
CHR = RouterFacts()


def device(status: str | None = None, **spec: object) -> Device:
    """Return a Device with that serial number in its status."""
    api = {"credentialsSecretRef": {"name": "s"}}
    return Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns"},
            "spec": {"hubRef": {"name": "h"}, "api": api, **spec},
            "status": {"serialNumber": status},
        }
    )


@pytest.mark.parametrize(
    ("spec", "status", "recorded", "facts"),
    [
        (None, None, None, A),
        (None, "A1", None, A),
        (None, None, "A1", A),
        ("A1", None, None, A),
        ("a1 ", "B2", "B2", A),
        ("A1", "A1", "A1", CHR),
    ],
)
def test_b6_the_right_router_or_one_that_cannot_be_told(
    spec: str | None,
    status: str | None,
    recorded: str | None,
    facts: RouterFacts,
) -> None:
    check_serial_number(device(status, serialNumber=spec), facts, recorded)


@pytest.mark.parametrize(
    ("spec", "status", "recorded"),
    [
        ("A1", None, None),
        ("A1", "B2", "B2"),
        (None, "A1", None),
        (None, None, "A1"),
    ],
)
def test_b6_another_router_is_refused_with_the_way_out(
    spec: str | None, status: str | None, recorded: str | None
) -> None:
    meant = device(status, serialNumber=spec)
    with pytest.raises(WrongRouter, match=r"write spec\.serialNumber: B2"):
        check_serial_number(meant, B, recorded)


def test_b6_the_first_contact_is_recorded_and_stays() -> None:
    assert recorded_serial_number(device(), A, None) == "A1"
    assert recorded_serial_number(device(), B, "A1") == "A1"
    assert recorded_serial_number(device("A1"), CHR, None) == "A1"
    assert recorded_serial_number(device(), CHR, None) is None


def test_b6_what_the_spec_names_is_recorded_in_its_place() -> None:
    meant = device("A1", serialNumber="B2")
    assert recorded_serial_number(meant, B, "A1") == "B2"


def test_b6_a_router_without_a_serial_number_is_a_warning() -> None:
    assert [warning.reason for warning in identity_warnings(CHR)] == [
        "NoSerialNumber"
    ]
    assert identity_warnings(A) == ()


def test_b6_a_renamed_router_is_told() -> None:
    renamed = RouterFacts(identity="roof")
    assert "lobby" in (renaming("lobby", renamed) or "")
    assert renaming("roof", renamed) is None
    assert renaming(None, renamed) is None
    assert renaming("lobby", RouterFacts()) is None


def test_b6_the_status_names_the_router_that_answers_while_it_is_wrong() -> (
    None
):
    """The next contact with the right one takes that back."""
    meant = device("A1")
    with pytest.raises(WrongRouter) as refused:
        after_connect(DeviceFindings(), meant, B)

    wrong = after_failure(DeviceFindings(), refused.value, None)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    status = device_status(meant, wrong, moment)
    assert status["answeringSerialNumber"] == "B2"
    assert status["serialNumber"] == "A1"

    right = after_connect(wrong, meant, A)
    assert "answeringSerialNumber" not in device_status(meant, right, moment)
    away = after_failure(wrong, Unreachable("NoRoute", "no route"), None)
    assert "answeringSerialNumber" not in device_status(meant, away, moment)

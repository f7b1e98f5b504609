"""What a router lacks for giving access, by what it answers. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.agent.devices.fitness.router import (
    fitness_prints,
    fitness_reading,
    fitness_warnings,
)
from cerebro.agent.devices.fitness.version import (
    VersionNotSupported,
    check_version,
    version_warnings,
)
from cerebro.agent.devices.model import RouterFacts
from cerebro.resources import Device
from cerebro.routeros.client.command import Reply
from cerebro.routeros.client.errors import Trap

SOUND: dict[str, dict[str, str]] = {
    "/ip/hotspot": {"name": "hs", "disabled": "false", "invalid": "false"},
    "/system/device-mode": {"mode": "advanced", "hotspot": "yes"},
    "/system/license": {"nlevel": "4"},
    "/system/resource": {"free-hdd-space": "92274688"},
}


def reasons(*refused: str, **rows: dict[str, str]) -> list[str]:
    """Return the reasons for a sound router with other rows; menus are named by
    their last part.
    """
    device = Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns"},
            "spec": {
                "hubRef": {"name": "h"},
                "api": {"credentialsSecretRef": {"name": "s"}},
            },
        }
    )
    replies: list[Reply | Trap] = []
    for command in fitness_prints():
        name = command.path.rpartition("/")[2].replace("-", "_")
        row = rows.get(name, SOUND[command.path])
        is_refused = name in refused
        trap = Trap(command.path, ["no such command prefix"])
        replies.append(trap if is_refused else Reply([row]))

    reading = fitness_reading(replies)
    return [warning.reason for warning in fitness_warnings(device, reading)]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({}, []),
        ({"hotspot": {"name": "hs", "disabled": "true"}}, ["NoHotspot"]),
        ({"hotspot": {"name": "hs", "invalid": "yes"}}, ["NoHotspot"]),
        ({"device_mode": {"hotspot": "no"}}, ["ForbiddenByDeviceMode"]),
        ({"device_mode": {"hotspot": "false"}}, ["ForbiddenByDeviceMode"]),
        ({"device_mode": {"mode": "enterprise"}}, []),
        ({"license": {"nlevel": "3"}}, ["LicenseLimit"]),
        ({"license": {"level": "free"}}, []),
        ({"resource": {"free-hdd-space": "65535"}}, ["DiskFull"]),
        ({"resource": {"free-hdd-space": "65536"}}, []),
        ({"resource": {"free-hdd-space": "12.4MiB"}}, []),
        ({"resource": {"free-hdd-space": "9" * 5000}}, []),
        ({"resource": {}}, []),
    ],
)
def test_what_is_said_of_a_router(
    rows: dict[str, Any], expected: list[str]
) -> None:
    assert reasons(**rows) == expected


def test_what_a_router_does_not_tell_is_no_trouble() -> None:
    assert reasons("hotspot", "device_mode", "license", "resource") == []


@pytest.mark.parametrize("version", ["6.49.18 (long-term)", "6.42", "5.26"])
def test_an_old_version_is_refused(version: str) -> None:
    with pytest.raises(VersionNotSupported, match=r"upgrade it to RouterOS 7"):
        check_version(RouterFacts(version=version))


@pytest.mark.parametrize(
    ("version", "warned"),
    [
        ("7.10", False),
        ("7.21.5 (stable)", False),
        ("7.23beta4 (testing)", False),
        ("7.9.2 (stable)", True),
        ("7.24rc1 (testing)", True),
        ("10.0", True),
        ("next", True),
        (None, False),
    ],
)
def test_any_other_version_is_served(
    version: str | None, warned: bool
) -> None:
    facts = RouterFacts(version=version)
    check_version(facts)
    reasons_said = [warning.reason for warning in version_warnings(facts)]
    assert reasons_said == (["VersionNotTested"] if warned else [])

"""Which Devices are in dry run (rule F6): by their own spec, or by the agent's setting."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.agent.devices.commands.allowed import Refused
from cerebro.agent.devices.commands.operations import plan_run
from cerebro.agent.dry_run import as_it_counts, cause
from cerebro.resources import Device, DeviceCommand

API = {"address": "192.0.2.1", "credentialsSecretRef": {"name": "s"}}


def a_device(**spec: Any) -> Device:
    return Device.model_validate(
        {
            "metadata": {"name": "d", "namespace": "ns", "uid": "u"},
            "spec": {"api": API, "paused": "Changes", **spec},
            "status": {"identity": "r1"},
        }
    )


@pytest.mark.parametrize(
    ("spec", "everything", "counts", "named"),
    [
        (False, False, False, None),
        (True, False, True, "spec.dryRun of the Device"),
        (False, True, True, "CEREBRO_DRY_RUN of the agent"),
        (True, True, True, "spec.dryRun of the Device"),
    ],
)
def test_f6_device_or_setting_decides_and_is_named(
    spec: bool, everything: bool, counts: bool, named: str | None
) -> None:
    device = a_device(dryRun=spec)
    seen = as_it_counts(device, everything=everything)

    assert seen.spec.dry_run is counts
    assert device.spec.dry_run is spec
    if named is not None:
        assert cause(seen).startswith(named)


def test_the_setting_changes_nothing_else_of_a_device() -> None:
    device = a_device()
    seen = as_it_counts(device, everything=True)

    restored = seen.model_copy(update={"spec": device.spec})
    assert restored.wire() == device.wire()
    assert seen.router_key == device.router_key


def test_f6_the_setting_refuses_commands_that_write() -> None:
    spec = {"deviceRef": {"name": "d"}, "operation": "Kick"}
    command = DeviceCommand.model_validate(
        {
            "metadata": {"name": "c", "namespace": "ns"},
            "spec": spec | {"parameters": {"user": "guest"}},
        }
    )
    held = as_it_counts(a_device(paused="None"), everything=True)

    with pytest.raises(Refused, match="CEREBRO_DRY_RUN") as refused:
        plan_run(held, command)

    assert refused.value.reason == "DryRun"

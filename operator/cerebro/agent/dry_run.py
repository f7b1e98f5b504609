"""Which Devices are looked at only: in dry run nothing is written to a router
(rule F6). Pure.

A loop takes its Device through `as_it_counts`; after that `spec.dry_run` alone
says whether it is in dry run, so no later look at the setting can be missing.
"""

from __future__ import annotations

from cerebro.resources import Device

SETTING = "CEREBRO_DRY_RUN"
"""The setting of the agent that puts all its Devices and Hubs into dry run."""


class _HeldDevice(Device):
    """A Device that the agent's setting has put into dry run."""


def as_it_counts(device: Device, *, everything: bool) -> Device:
    """Return the Device as its loops go by it: in dry run by its own spec, or
    because `everything` is.
    """
    if not everything or device.spec.dry_run:
        return device

    spec = device.spec.model_copy(update={"dry_run": True})
    values = dict(device) | {"spec": spec}

    return _HeldDevice.model_construct(**values)


def cause(device: Device) -> str:
    """Return why a Device is in dry run, in words that begin a sentence."""
    if isinstance(device, _HeldDevice):
        return f"{SETTING} of the agent is true"

    return "spec.dryRun of the Device is true"

"""What a router lacks for giving access, by a look at it: what to ask, and
which warnings the answers are. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cerebro.agent.devices.fitness.refusals import (
    ALLOW_HOTSPOT,
    BETTER_LICENSE,
    DISK_FULL,
    FORBIDDEN_BY_DEVICE_MODE,
    FREE_DISK,
    LICENSE_LIMIT,
)
from cerebro.agent.devices.model import DeviceWarning
from cerebro.resources import Device
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap, printable

_Row = Mapping[str, str]

_NO = frozenset({"no", "false"})
_YES = frozenset({"yes", "true"})

_SINGLE_USER_LEVELS = frozenset({"0", "1", "3"})
"""Licence levels that let one user log in at the hotspot (MikroTik's manual,
RouterOS license keys); the trial, the demo, and level 3.
"""

_LEAST_DISK = 64 * 1024
"""Free bytes below which the router may not store a further entry."""


class FitnessReading(NamedTuple):
    """What the router answered; None where it refused or lacks a menu."""

    servers: Sequence[_Row] | None = None
    """Rows of `/ip/hotspot`."""

    device_mode: _Row | None = None
    license: _Row | None = None
    resource: _Row | None = None


def fitness_prints() -> list[Command]:
    """Return what to ask a router, in the order of `fitness_reading`."""
    return [
        Command(
            "/ip/hotspot", "print", {".proplist": "name,disabled,invalid"}
        ),
        Command("/system/device-mode", "print"),
        Command("/system/license", "print"),
        Command("/system/resource", "print", {".proplist": "free-hdd-space"}),
    ]


def fitness_reading(replies: Sequence[Reply | Trap]) -> FitnessReading:
    """Return what the answers to `fitness_prints` say; nothing is known where
    there are none.
    """
    if not replies:
        return FitnessReading()

    servers, device_mode, license_row, resource = replies

    return FitnessReading(
        servers=None if isinstance(servers, Trap) else servers.rows,
        device_mode=_only_row(device_mode),
        license=_only_row(license_row),
        resource=_only_row(resource),
    )


def fitness_warnings(
    device: Device, reading: FitnessReading
) -> tuple[DeviceWarning, ...]:
    """Return what a person has to mend at the router, in the order of its
    weight.
    """
    judged = (
        _device_mode(reading.device_mode or {}),
        _hotspot(device, reading.servers),
        _disk(reading.resource or {}),
        _license(reading.license or {}),
    )

    return tuple(warning for warning in judged if warning is not None)


def forbids_schedulers(device_mode: _Row) -> bool:
    """Return whether device-mode of the router forbids schedulers."""
    return device_mode.get("scheduler") in _NO


def _device_mode(row: _Row) -> DeviceWarning | None:
    if row.get("hotspot") not in _NO:
        return None

    message = f"device-mode of the router forbids the hotspot, so it shuts nobody out: {ALLOW_HOTSPOT}"

    return DeviceWarning(FORBIDDEN_BY_DEVICE_MODE, message)


def _hotspot(
    device: Device, servers: Sequence[_Row] | None
) -> DeviceWarning | None:
    """Return the warning of a router whose hotspot shuts nobody out.

    With `bindingType: regular` the address list alone may give access, so no
    hotspot is needed.
    """

    access = device.spec.access
    if servers is None or access.binding_type == "regular":
        return None

    running = [row for row in servers if _runs(row)]
    wanted = access.hotspot_server

    if wanted is None and not running:
        message = (
            "no hotspot server runs on the router, so it shuts nobody out: run /ip/hotspot/setup there, or enable "
            "the server that it has"
        )

        return DeviceWarning("NoHotspot", message)

    names = {row.get("name") for row in running}

    if wanted is not None and wanted not in names:
        message = (
            f"no hotspot server called {wanted} (spec.access.hotspotServer) runs on the router: correct the field, "
            f"or enable the server. Running are: {_listed(running)}"
        )

        return DeviceWarning("NoHotspot", message)

    return None


def _runs(row: _Row) -> bool:
    """Return whether a hotspot server is enabled and valid."""
    return not any(row.get(name) in _YES for name in ("disabled", "invalid"))


def _listed(rows: Sequence[_Row]) -> str:
    names = [printable(row["name"]) for row in rows if "name" in row]

    return ", ".join(names[:8]) or "none"


def _disk(row: _Row) -> DeviceWarning | None:
    text = row.get("free-hdd-space", "")
    is_number = text.isascii() and text.isdecimal()

    if not is_number or len(text) > len(str(_LEAST_DISK)):
        return None

    if int(text) >= _LEAST_DISK:
        return None

    message = f"the router's disk has {text} bytes left, so it may store no further entry: {FREE_DISK}"

    return DeviceWarning(DISK_FULL, message)


def _license(row: _Row) -> DeviceWarning | None:
    # A CHR has `level` with other words, which bound no users.
    level = row.get("nlevel")

    if level not in _SINGLE_USER_LEVELS:
        return None

    message = (
        f"the router's licence is of level {level}, with which one user at a time logs in at the hotspot; clients of "
        f"bypassed bindings do not log in. Where more are to log in, {BETTER_LICENSE}"
    )

    return DeviceWarning(LICENSE_LIMIT, message)


def _only_row(reply: Reply | Trap) -> _Row | None:
    """Return the row of a menu that has one; None if there is none."""
    if isinstance(reply, Trap) or not reply.rows:
        return None

    return reply.rows[0]

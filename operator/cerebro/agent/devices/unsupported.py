"""Fields of a Device that are accepted and not honoured yet. Pure.

A field leaves this file with the code that honours it.
"""

from __future__ import annotations

from cerebro.agent.devices.model import DeviceWarning
from cerebro.resources import Device, reasons


def unsupported_fields(device: Device) -> tuple[DeviceWarning, ...]:
    """Return a warning that names the fields which the Device sets and which
    do nothing; none if there is no such field.

    The API server fills in defaults, so a field counts as set if its value is
    another one.
    """

    spec = device.spec
    names = []

    # The router's end of the tunnel: what would change is shown in dry run,
    # and nothing is changed yet.
    if spec.manage_config and not spec.dry_run:
        names.append("spec.manageConfig")

    if not names:
        return ()

    fields = ", ".join(names)
    verb = "do" if len(names) > 1 else "does"
    message = f"{fields} {verb} nothing in this release: leave it out"

    return (DeviceWarning(reasons.NOT_SUPPORTED, message),)

"""Whether the router that answers is the Device's (rule B6). Pure.

A router is known by its serial number: an address, a tunnel or a password may
lead to another one after an exchange.
"""

from __future__ import annotations

from cerebro.agent.devices.model import DeviceWarning, RouterFacts
from cerebro.resources import Device
from cerebro.routeros.client.errors import RouterError


class WrongRouter(RouterError):
    """The router that answers is not the Device's: nothing is written there.

    `serial_number` is the serial number of the router that answers.
    """

    def __init__(self, message: str, serial_number: str) -> None:
        super().__init__(message)
        self.serial_number = serial_number


def check_serial_number(
    device: Device, facts: RouterFacts, recorded: str | None
) -> None:
    """Raise WrongRouter if the router has another serial number than is
    expected.

    Expected is that in the spec, else `recorded`, else that in the status. A
    router that tells none is taken as the Device's.
    """

    # What a person wrote counts before what was recorded.
    expected = device.spec.serial_number or _recorded(device, recorded)
    actual = facts.serial_number

    if expected is None or actual is None or _same(expected, actual):
        return

    where = (
        "spec.serialNumber"
        if device.spec.serial_number
        else "status.serialNumber, from the first contact,"
    )

    raise WrongRouter(
        f"the router that answers has serial number {actual}, and {where} is {expected}: nothing is written to it. "
        f"If it is to be this Device's router from now on, run `cerebro replace {device.name}`, or write "
        f"spec.serialNumber: {actual}",
        actual,
    )


def recorded_serial_number(
    device: Device, facts: RouterFacts, recorded: str | None
) -> str | None:
    """Return the serial number that is recorded from now on, after
    `check_serial_number`: the router's where the spec names it, else that of
    the first contact.
    """
    # The check has passed, so the router's spelling is that of the spec.
    if device.spec.serial_number is not None:
        return facts.serial_number or _recorded(device, recorded)

    return _recorded(device, recorded) or facts.serial_number


def identity_warnings(facts: RouterFacts) -> tuple[DeviceWarning, ...]:
    """Return what keeps the router from being known; it does not stop access."""
    if facts.serial_number is not None:
        return ()

    message = "the router tells no serial number, as a CHR: whether it is the right one is not checked"

    return (DeviceWarning("NoSerialNumber", message),)


def renaming(before: str | None, facts: RouterFacts) -> str | None:
    """Return in words that the router has another name than `before`; None if
    it has not.
    """
    name = facts.identity

    # Before the first contact, or without an identity, nothing can be compared.
    if before is None or name is None or before == name:
        return None

    return f"the router was called {before} and calls itself {name} now: is it the same one?"


def _recorded(device: Device, recorded: str | None) -> str | None:
    """Return the recorded serial number; a status of ours may not have come
    back yet.
    """
    return recorded or device.status.serial_number


def _same(first: str, second: str) -> bool:
    return first.strip().casefold() == second.strip().casefold()

"""What agent, operator and bridge agree on about DeviceCommands: until when
one may begin, and which of them change nothing. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cerebro.domain.lifecycle import later
from cerebro.resources import DeviceCommand

COMMAND_GRACE = timedelta(seconds=2)
"""Time after its timeout in which a command may still begin (rule C2)."""

READING_OPERATIONS = frozenset({"Ping", "Arp", "Active", "Probe"})
"""Operations that change nothing on a router, so that they may be repeated."""


def latest_start(command: DeviceCommand, now: datetime) -> datetime:
    """Return the moment after which a command is not begun any more (rule C2).

    `now` is aware and the API server's time; it counts as the creation of a
    command that has no creationTimestamp.
    """
    created = command.metadata.creation_timestamp or now

    return later(created, command.spec.timeout + COMMAND_GRACE)

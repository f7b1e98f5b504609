"""A router's clock as its agent sees it: what to ask, and by how much the
answer is wrong. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from cerebro.agent.devices.model import NtpState, RouterClock
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.configuration.guard_script import FIRST_MOMENT
from cerebro.routeros.menus.menu import seconds

_LONGEST_ANSWER = 5.0
"""Seconds of an answer after which it says too little of the moment."""

_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


def clock_prints() -> list[Command]:
    """Return what to ask a router, in the order of `router_clock`."""
    return [
        Command(
            "/system/clock", "print", {".proplist": "date,time,gmt-offset"}
        ),
        ntp_print(),
        Command("/system/resource", "print", {".proplist": "uptime"}),
    ]


def ntp_print() -> Command:
    """Return the command that reads whether NTP has set the clock."""
    names = {".proplist": "enabled,status"}

    return Command("/system/ntp/client", "print", names)


def router_clock(
    replies: Sequence[Reply | Trap], asked_at: float, answered_at: float
) -> RouterClock | None:
    """Return what the answers to `clock_prints` say; None if they say nothing
    that can be compared.

    The moments are in Unix seconds, by a clock that is right.
    """
    if (
        len(replies) != len(clock_prints())
        or answered_at - asked_at > _LONGEST_ANSWER
    ):
        return None

    clock, ntp = _only_row(replies[0]), ntp_state(replies[1])
    uptime = seconds((_only_row(replies[2]) or {}).get("uptime", ""))
    moment = None if clock is None else _moment(clock)
    if moment is None:
        return None

    ahead = moment - answered_at if moment > answered_at else 0
    behind = asked_at - (moment + 1) if moment + 1 < asked_at else 0

    return RouterClock(
        ahead=int(ahead - behind),
        ntp=ntp,
        was_set=moment >= FIRST_MOMENT,
        uptime=uptime,
        booted=None if uptime is None else int(moment) - uptime,
    )


def ntp_state(reply: Reply | Trap) -> NtpState:
    """Return what the answer to `ntp_print` says; a router without that menu
    has no NTP.
    """
    row = _only_row(reply) or {}
    if row.get("enabled") not in ("true", "yes"):
        return "Off"

    if row.get("status") == "synchronized":
        return "Synchronized"

    return "Unsynchronized"


def _only_row(reply: Reply | Trap) -> Mapping[str, str] | None:
    if isinstance(reply, Trap):
        return None

    return next(iter(reply.rows), None)


def _moment(row: Mapping[str, str]) -> float | None:
    """Return the Unix second that a clock shows, in which it is."""
    offset = _OFFSET.fullmatch(row.get("gmt-offset", ""))
    text = f"{row.get('date')} {row.get('time')}"
    if offset is None:
        return None

    try:
        local = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(
            tzinfo=UTC
        )
    except ValueError:
        return None

    sign, hours, minutes = offset.groups()
    east = timedelta(hours=int(hours), minutes=int(minutes))

    return (local - east if sign == "+" else local + east).timestamp()

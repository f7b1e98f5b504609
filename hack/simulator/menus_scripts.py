"""The menus of scripts, the scheduler, the clock and the client that sets it,
as data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from simulator.clock import ISO_DATE, OLD_DATE
from simulator.errors import BAD_VALUE, Trap, no_match
from simulator.menu import TEXT, Menu, MenuRouter, Property, comment
from simulator.menus import BOOL, COUNT, DISABLED, by
from simulator.rights import POLICIES
from simulator.row import Row
from simulator.syslog import LOG
from simulator.values import (
    Duration,
    Enum,
    Kind,
    Offset,
    WordSet,
    parse_duration,
)

ALL = "ftp,reboot,read,write,policy,test,password,sniff,sensitive,romon"
NEW_DATES = (7, 10)
"""The version from which dates are written as ISO has it (reference 4.0)."""


@dataclass(frozen=True)
class Date(Kind):
    """A date in the form of the version."""

    form: str

    def _parse(self, name: str, text: str) -> str:
        try:
            day = datetime.strptime(text, self.form).replace(tzinfo=UTC)
        except ValueError:
            raise Trap(
                f"invalid value for argument {name}", BAD_VALUE
            ) from None
        return day.strftime(self.form).lower()


class StartTime(Kind):
    """A time of day, or the word `startup`."""

    def _parse(self, name: str, text: str) -> str:
        if text == "startup":
            return text
        try:
            seconds = int(parse_duration(text))
        except ValueError:
            seconds = 86400
        if seconds >= 86400:
            raise Trap(f"invalid value for argument {name}", BAD_VALUE)
        return (
            f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        )


class ZoneName(Kind):
    """A time zone of the world, or the word `manual`."""

    def _parse(self, name: str, text: str) -> str:
        if text != "manual":
            try:
                ZoneInfo(text)
            except (KeyError, ValueError, OSError):
                raise no_match(name) from None
        return text


def _scheduler_changed(router: MenuRouter, row: Row, _names: set[str]) -> None:
    """Without a start it is the moment of its creation."""
    row.values.setdefault("start-date", router.clock.date_text())
    row.values.setdefault("start-time", router.clock.time_text())


def _zone_changed(router: MenuRouter, row: Row, names: set[str]) -> None:
    if "time-zone-name" not in names:
        return
    zone = row.values["time-zone-name"]
    router.clock.zone = UTC if zone == "manual" else ZoneInfo(zone)
    router.clock_changed()


def _ntp_status(router: MenuRouter, row: Row) -> str:
    if row.values.get("enabled") != "true":
        return "stopped"
    return "synchronized" if router.clock.is_set else "waiting"


SCRIPT = Menu(
    "/system/script",
    (
        Property("name", required=True),
        Property("source", TEXT, default=""),
        Property("policy", WordSet(POLICIES), default=ALL),
        Property("dont-require-permissions", BOOL, default="false"),
        comment(),
        Property("owner", readonly=True),
        Property("run-count", COUNT, default="0", readonly=True),
        Property("last-started", readonly=True),
        Property("invalid", BOOL, default="false", readonly=True),
    ),
    verbs=frozenset({"add", "set", "remove", "comment"}),
    unique=(by("name"),),
    owned=True,
)

SCHEDULER = Menu(
    "/system/scheduler",
    (
        Property("name", required=True),
        Property("start-date", Date(ISO_DATE), since=NEW_DATES),
        Property("start-date", Date(OLD_DATE), until=NEW_DATES),
        Property("start-time", StartTime()),
        Property("interval", Duration(), default="0s"),
        Property("on-event", TEXT, default=""),
        Property("policy", WordSet(POLICIES), default=ALL),
        comment(),
        DISABLED,
        Property("owner", readonly=True),
        Property("run-count", COUNT, default="0", readonly=True),
        Property(
            "next-run",
            computed=lambda router, row: router.scripts.next_run(row),
        ),
    ),
    verbs=frozenset(
        {"add", "set", "remove", "enable", "disable", "comment", "move"}
    ),
    ordered=True,
    unique=(by("name"),),
    changed=_scheduler_changed,
    owned=True,
)

CLOCK = Menu(
    "/system/clock",
    (
        Property(
            "date", computed=lambda router, _row: router.clock.date_text()
        ),
        Property(
            "time",
            Duration(),
            computed=lambda router, _row: router.clock.time_text(),
        ),
        Property("time-zone-autodetect", BOOL, default="true"),
        Property("time-zone-name", ZoneName(), default="manual"),
        Property(
            "gmt-offset",
            Offset(),
            computed=lambda router, _row: router.clock.offset_text(),
        ),
        Property("dst-active", BOOL, default="false", readonly=True),
    ),
    verbs=frozenset({"set"}),
    singleton=True,
    changed=_zone_changed,
)

NTP_CLIENT = Menu(
    "/system/ntp/client",
    (
        Property("enabled", BOOL, default="false"),
        Property(
            "mode",
            Enum(("unicast", "broadcast", "multicast", "manycast")),
            default="unicast",
        ),
        Property("servers", default=""),
        Property("vrf", default="main"),
        Property("status", computed=_ntp_status),
    ),
    verbs=frozenset({"set"}),
    singleton=True,
)

MENUS = (LOG, SCRIPT, SCHEDULER, CLOCK, NTP_CLIENT)

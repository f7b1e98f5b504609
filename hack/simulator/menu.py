"""How a menu is described: properties with their kinds, what is unique,
ordered, volatile, which verbs exist.

A further menu is a further description in `menus.py`; behaviour beyond
add/set/print/remove hangs on table events or on an own verb in `actions.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from simulator.clock import Clock, Deadlines, Expiring
from simulator.options import RouterOptions, Version
from simulator.row import Row
from simulator.values import Kind

TEXT = Kind()

CONFIG_VERBS = frozenset(
    {"add", "set", "remove", "enable", "disable", "comment"}
)


class MenuHotspot(Protocol):
    """The part of the hotspot that a menu needs."""

    def running_time(self, user: str) -> float:
        """Return the seconds of the sessions of a user that run now."""


class MenuSafeMode(Protocol):
    """The part of safe mode that a menu needs."""

    @property
    def user(self) -> str | None:
        """The user whose session holds safe mode; None for nobody."""


class MenuScripts(Protocol):
    """The part of the scripts that a menu needs."""

    def next_run(self, row: Row) -> str | None:
        """Return the date and time of a scheduler's next run; None for
        never.
        """


class MenuRouter(Protocol):
    """The part of the router that a menu needs: computed properties, refusals
    and changes read it.

    A Protocol, because a router is made of tables and a table of a menu: menus
    may not import the router.
    """

    options: RouterOptions
    clock: Clock
    deadlines: Deadlines
    random: Random

    @property
    def version(self) -> Version:
        """The version of RouterOS."""

    @property
    def safe_mode(self) -> MenuSafeMode:
        """The safe mode of the router."""

    @property
    def tables(self) -> Mapping[str, Expiring]:
        """The tables by the paths of their menus."""

    @property
    def hotspot(self) -> MenuHotspot:
        """The hotspot of the router."""

    @property
    def scripts(self) -> MenuScripts:
        """The scripts of the router."""

    def clock_changed(self) -> None:
        """Look at all that goes by the date anew."""

    def policies_of(self, user: Row) -> frozenset[str]:
        """Return the policies of a router user by the group."""

    def uptime_text(self) -> str:
        """Return the time since the last boot."""


Computed = Callable[[MenuRouter, Row], str | None]


@dataclass(frozen=True)
class Property:
    """One property of a menu.

    default: stored at add when not given, so replies show it (firewall tables have none).
    computed: made anew at each print; read-only, unless `accepts`: then what is written goes to `hidden`.
    write_only: kept in `hidden`, never returned.
    secret: reads ***** without the policy `sensitive`. unset: the verb `unset` knows it.
    since/until: RouterOS versions that have it (until is the first without).
    """

    name: str
    kind: Kind = TEXT
    default: str | None = None
    required: bool = False
    readonly: bool = False
    computed: Computed | None = None
    accepts: bool = False
    write_only: bool = False
    secret: bool = False
    unset: bool = False
    empty_unsets: bool = False
    since: Version = ()
    until: Version = (99,)

    @property
    def writable(self) -> bool:
        """Whether add and set take it."""
        return not self.readonly and (self.computed is None or self.accepts)

    @property
    def kept_hidden(self) -> bool:
        """Whether its value is kept apart from what replies show."""
        return self.write_only or self.accepts


@dataclass(frozen=True)
class Unique:
    """A natural key and the text of the refusal; `key` gives None where the
    rule does not apply.
    """

    key: Callable[[Mapping[str, str]], Hashable | None]
    message: str
    enabled_only: bool = True


@dataclass(frozen=True)
class Menu:
    """A menu as data.

    initial: rows present from the start. volatile: a reboot empties it.
    write_policy: needed by every verb that changes, besides `write`.
    removable: raises Trap for a row that must stay. changed: called after add and set, before anyone is told.
    absent: whether this router lacks it (then its prefix is unknown).
    owned: rows note who made them as `owner`, and run with their `policy`, which may not exceed that user's.
    """

    path: str
    properties: tuple[Property, ...]
    verbs: frozenset[str] = CONFIG_VERBS
    ordered: bool = False
    singleton: bool = False
    volatile: bool = False
    unique: tuple[Unique, ...] = ()
    initial: tuple[Mapping[str, str], ...] = ()
    write_policy: str | None = None
    removable: Callable[[MenuRouter, Row], None] | None = None
    changed: Callable[[MenuRouter, Row, set[str]], None] | None = None
    absent: Callable[[MenuRouter], bool] | None = None
    owned: bool = False

    def for_version(self, version: Version) -> Menu:
        """Return the same menu with the properties that this version has."""
        return replace(
            self,
            properties=tuple(
                p for p in self.properties if p.since <= version < p.until
            ),
        )

    def by_name(self) -> dict[str, Property]:
        """Return the properties by their names."""
        return {p.name: p for p in self.properties}


def comment() -> Property:
    """Return the comment every configuration menu has: absent when unset, an
    empty value removes it.
    """
    return Property("comment", empty_unsets=True)

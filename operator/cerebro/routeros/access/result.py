"""What the plan of access comes to: commands in stages, and what the rows say
of each grant and ending. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cerebro.routeros.access.model import Ending, Grant
from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.menu import Row

# Stages run one after the other, the commands of one stage together: nothing
# documents that two pipelined writes of one connection keep their order.
STAGES = UNDO, SET, ADD, LOGOUT, FLOWS, HOSTS = range(6)


@dataclass(frozen=True, slots=True)
class GrantView:
    """What the rows say of one grant: `granted` when nothing is left to do,
    else why not.

    `ips` are the addresses at which the router's firewall sees the client.
    `unread` is the path of a menu that could not be read, so that nothing is
    proven (rule B0). `seen` says whether a host shows the client, and nobody
    else at the address that it was granted for; None if hosts could not be
    read. `holder` is the MAC of somebody else who has that address (rule A13).
    """

    granted: bool
    mac: str | None
    ips: tuple[str, ...]
    blocked_by_hand: str | None = None
    unread: str | None = None
    seen: bool | None = None
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class EndingView:
    """What the rows say of one ending: `enforced` when nothing is left of it.

    `flows` are its tracked connections; `cut` says that no row and no host
    lets the client open further ones, so those are the last. `too_early`: the
    rows promise a later end, so they stay until then (rule E1). `mac` is whom
    the ending was found to be about, where that is known (rule B2). `unread`
    is the path of a menu that could not be read, so that nothing is proven
    (rule B0).
    """

    enforced: bool
    flows: frozenset[str] = frozenset()
    cut: bool = False
    granted_by_hand: str | None = None
    too_early: bool = False
    mac: str | None = None
    unread: str | None = None


@dataclass(slots=True)
class AccessPlan:
    """Commands in stages, and what the rows that were read say of every grant
    and ending.
    """

    stages: list[list[Command]] = field(
        default_factory=lambda: [[] for _ in STAGES]
    )
    grants: dict[Grant, GrantView] = field(default_factory=dict)
    endings: dict[Ending, EndingView] = field(default_factory=dict)
    orphans: set[str] = field(
        default_factory=set
    )  # client ids whose rows nobody explains
    logged_out: dict[str, str] = field(default_factory=dict)
    """Users that are logged out, by the client ids of ended clients."""
    marked: set[str] = field(
        default_factory=set
    )  # client ids of all rows of ours
    repaired: set[str] = field(
        default_factory=set
    )  # client ids of rows that were missing or changed
    wants_connections: bool = False
    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    """The rows that commands name by id, by path and id."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Why a menu could not be read, by its path."""
    recheck_in: float | None = None
    """Seconds after which a row that others made, and that counts here, ends
    by itself.
    """

    @property
    def empty(self) -> bool:
        """Tell whether the router already is as wanted."""
        return not any(self.stages)

    @property
    def unproven(self) -> bool:
        """Return whether a menu that could not be read leaves a grant or an
        ending without proof.
        """
        views: Iterable[GrantView | EndingView] = (
            *self.grants.values(),
            *self.endings.values(),
        )

        return any(view.unread is not None for view in views)

    def look_again(self, after: float) -> None:
        """Note that the router has to be looked at again in `after` seconds,
        or earlier.
        """
        self.recheck_in = (
            after if self.recheck_in is None else min(self.recheck_in, after)
        )

    def count(self) -> int:
        """Return how many commands it has."""
        return sum(map(len, self.stages))

    def commands(self) -> Iterable[Command]:
        """Yield all commands in the order in which they run."""
        for stage in self.stages:
            yield from stage


def describe(commands: Sequence[Command]) -> list[str]:
    """Say in words what commands would change, for an answer of the bridge in
    dry run.
    """
    lines = []
    for command in commands:
        attributes = (
            f"{name}={value}" for name, value in command.attributes.items()
        )

        lines.append(" ".join((command.path, command.verb, *attributes)))

    return lines

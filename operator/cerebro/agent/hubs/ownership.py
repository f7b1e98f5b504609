"""Who carries a Hub (rule E4): the agent of its node, or the holder of its
Lease.

The holder acts only for as long as it could hold the Lease without another
renewal, less a margin, and lets the keeper of userspace interfaces drop the
tunnel at that time: so whoever stops or is cut off has lost the tunnel before
another node may act. When this agent ends, it does not give the Lease back: a
restart goes on with it. A holder that cannot carry the Hub gives the Lease
back, and takes no part for a while: another node may be able to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cerebro.agent.handshakes import Contact
from cerebro.kube.lease import Lease
from cerebro.resources import Hub
from cerebro.runtime.clock import boottime
from cerebro.wireguard.backend import (
    ForeignInterface,
    IsolationNotAvailable,
    NotAvailable,
    NotPermitted,
    PortInUse,
)

_LEAST_MARGIN = 1.0
"""Seconds."""

_OF_THIS_NODE = frozenset(
    {
        kind.reason
        for kind in (
            ForeignInterface,
            NotAvailable,
            NotPermitted,
            PortInUse,
            IsolationNotAvailable,
        )
    }
    | {"NetworkConflict"}
)
"""Reasons that lie in this node, so that another one may do better."""

_ENOUGH_FAILURES = 3
"""Passes in a row that fail before a Lease is given back."""

_ASIDE = 2.0
"""A node stands aside for so many times the Lease's length; a rival looks at
the Lease several times meanwhile.
"""

_MOST_DOUBLINGS = 2
"""Of that time, when a node gives back one Lease after the other."""


def margin(duration: float) -> float:
    """Return how many seconds before the end of a Lease its holder stops: a
    fifth of it, at least one.
    """
    return max(_LEAST_MARGIN, duration / 5)


def may_be_ours(hub: Hub, node: str) -> bool:
    """Return whether this node carries the Hub or takes part in its Lease."""
    return hub.spec.node_name in (None, node)


def gives_back(
    hub: Hub, reason: str, failures: int, contacts: Iterable[Contact] = ()
) -> bool:
    """Return whether this node gives the Lease of a Hub back: it cannot carry
    the Hub, another one perhaps can.

    `reason` is why the last pass failed, `failures` how many passes in a row
    did. While somebody's tunnel works all the same, as the `contacts` show
    that the interface has now, the node keeps the Lease.
    """
    if hub.spec.node_name is not None or hub.spec.paused != "None":
        return False

    if failures < _ENOUGH_FAILURES or reason not in _OF_THIS_NODE:
        return False

    return all(contact.state != "Online" for contact in contacts)


def time_aside(duration: float, before: int) -> float:
    """Return for how many seconds to take no part, after a Lease of `duration`
    was given back.

    `before` is how many times in a row this node did so already: each doubles
    the time, up to four times it.
    """
    doublings = min(before, _MOST_DOUBLINGS)

    return float(duration * _ASIDE * 2**doublings)


class Ownership:
    """Whether this node owns one Hub; call `follow` whenever the Hub may have
    changed.

    `lease` makes a Lease of the Hub, with what to call when it is gained or
    lost, and when it is renewed.
    """

    def __init__(
        self,
        lease: Callable[[Callable[[], None], Callable[[], None]], Lease],
        *,
        duration: float,
        changed: Callable[[], None],
        renewed: Callable[[], None],
    ) -> None:
        self._make = lease
        self._duration = duration
        self._margin = margin(duration)
        self._changed = changed
        self._renewed = renewed
        self._fixed = False
        self._lease: Lease | None = None
        self._task: asyncio.Task[None] | None = None
        self._aside_until = 0.0
        """By `boottime`."""
        self._times_aside = 0
        """How many times in a row the Lease was given back."""
        self._generation = 0
        """Of the Hub when it was last followed."""

    def follow(self, hub: Hub | None, node: str) -> None:
        """Take part as the Hub asks for; None takes no part."""
        self._fixed = hub is not None and hub.spec.node_name == node
        if hub is not None and hub.metadata.generation != self._generation:
            # What was in the way may be corrected.
            self._generation = hub.metadata.generation
            self._aside_until = 0.0

        if hub is not None and hub.spec.node_name is None:
            self._take_part()
        else:
            self.close()

    def follow_unreadable(
        self, spec: Mapping[str, Any], status: Mapping[str, Any], node: str
    ) -> None:
        """Take part as far as what can be read of a Hub asks for it (rule
        B9).
        """
        desired = spec.get("nodeName")
        if desired == node:
            self._fixed = True
            self.close()
        elif not desired and status.get("nodeName") == node:
            self._take_part()

    def _take_part(self) -> None:
        """Try to get the Lease, and renew it, unless this node stands aside."""
        if self._task is None and boottime() >= self._aside_until:
            self._lease = self._make(self._changed, self._renewed)
            self._task = asyncio.create_task(
                self._lease.run(), name="Lease of a Hub"
            )

    async def stand_aside(self, *, dropped: bool) -> None:
        """Take no part for a while.

        Another node gets the Lease at once if the interface is surely `dropped`; else when the Lease has run
        out: the keeper has dropped the interface by then.
        """

        task = self._task
        lease = self._lease
        self._aside_until = boottime() + time_aside(
            self._duration, self._times_aside
        )

        self._times_aside += 1

        if lease is not None and dropped:
            lease.give_back()

        self.close()

        if task is not None:
            await asyncio.wait((task,))

    def works(self) -> None:
        """Note that this node carries the Hub as it should."""
        self._times_aside = 0

    @property
    def fixed(self) -> bool:
        """Whether this node owns the Hub by its name in the spec, and not by a
        Lease.
        """
        return self._fixed

    def owns(self) -> bool:
        """Return whether this node may act now; call it immediately before
        acting.
        """
        return self._fixed or boottime() < self._leased_until()

    def deadline(self) -> float | None:
        """Return the time, by `boottime`, until which this node may act
        without another renewal; None: no end.
        """
        return None if self._fixed else self._leased_until()

    def close(self) -> None:
        """Renew no more."""
        if self._task is not None:
            self._task.cancel()

        self._task = None
        self._lease = None

    def _leased_until(self) -> float:
        if self._lease is None:
            return 0.0

        return self._lease.held_until() - self._margin

"""Who carries a Hub (rule E4): the agent of its node, or the holder of its Lease.

The holder acts only for as long as it could hold the Lease without another renewal, less a margin, and has
the keeper of userspace interfaces drop the tunnel at that time: so whoever stops or is cut off has lost the
tunnel before another may act. At our own end the Lease is not given back: a restart goes on with it. A holder
that cannot carry the Hub gives it back, and takes no part for a while: another may be able to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from cerebro.agent.contacts import Contact
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
_OF_THIS_NODE = frozenset(
    {kind.reason for kind in (ForeignInterface, NotAvailable, NotPermitted, PortInUse, IsolationNotAvailable)}
    | {"NetworkConflict"}
)
_ENOUGH_FAILURES = 3
_ASIDE, _MOST_DOUBLINGS = 2.0, 2  # times the Lease's length; a rival looks at it several times meanwhile


def margin(duration: float) -> float:
    """Return how long before the end of a Lease its holder stops: a fifth of it, at least a second."""
    return max(_LEAST_MARGIN, duration / 5)


def may_be_ours(hub: Hub, node: str) -> bool:
    """Tell whether this node carries the Hub or takes part in its Lease."""
    return hub.spec.node_name in (None, node)


def gives_back(hub: Hub, reason: str, failures: int, contacts: Iterable[Contact] = ()) -> bool:
    """Tell whether what failed so many times in a row keeps this node, and perhaps no other, from carrying it.

    It does not while somebody's tunnel works all the same, as the `contacts` say that the interface has now.
    """
    leased_and_written = hub.spec.node_name is None and hub.spec.paused == "None"
    lasts = failures >= _ENOUGH_FAILURES and reason in _OF_THIS_NODE
    return leased_and_written and lasts and all(one.state != "Online" for one in contacts)


def time_aside(duration: float, before: int) -> float:
    """Return for how long to take no part, having given a Lease of that length back `before` times in a row."""
    return float(duration * _ASIDE * 2 ** min(before, _MOST_DOUBLINGS))


class Ownership:
    """Our part in carrying one Hub; `follow` it whenever the Hub may have changed."""

    def __init__(
        self,
        lease: Callable[[Callable[[], None], Callable[[], None]], Lease],
        *,
        duration: float,
        changed: Callable[[], None],
        renewed: Callable[[], None],
    ) -> None:
        self._make = lease
        self._duration, self._margin = duration, margin(duration)
        self._changed, self._renewed = changed, renewed
        self._fixed = False
        self._lease: Lease | None = None
        self._task: asyncio.Task[None] | None = None
        self._aside_until, self._times_aside = 0.0, 0
        self._generation = 0

    def follow(self, hub: Hub | None, node: str) -> None:
        """Take part as the Hub asks for; None takes no part."""
        self._fixed = hub is not None and hub.spec.node_name == node
        if hub is not None and hub.metadata.generation != self._generation:
            self._generation, self._aside_until = hub.metadata.generation, 0.0  # it may be corrected
        if hub is not None and hub.spec.node_name is None:
            self.take_part()
        else:
            self.close()

    def have(self) -> None:
        """Have it by its node, where that is all that can be read of the Hub."""
        self._fixed = True
        self.close()

    def take_part(self) -> None:
        """Try to have the Lease, and renew it, unless we stand aside."""
        if self._task is None and boottime() >= self._aside_until:
            self._lease = self._make(self._changed, self._renewed)
            self._task = asyncio.create_task(self._lease.run(), name="Lease of a Hub")

    async def stand_aside(self, *, dropped: bool) -> None:
        """Take no part for a while. Another has the Lease at once if the interface is surely `dropped`, else when
        it has run out: the keeper has dropped it by then.
        """
        task, lease = self._task, self._lease
        self._aside_until = boottime() + time_aside(self._duration, self._times_aside)
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
        """Tell whether it is ours by its node and not by a Lease."""
        return self._fixed

    def owns(self) -> bool:
        """Tell whether we may act now; ask immediately before acting on it."""
        return self._fixed or boottime() < self._leased_until()

    def deadline(self) -> float | None:
        """Give the time, by `boottime`, until which we may act without another renewal; None: without end."""
        return None if self._fixed else self._leased_until()

    def close(self) -> None:
        """Renew no more."""
        if self._task is not None:
            self._task.cancel()
        self._task, self._lease = None, None

    def _leased_until(self) -> float:
        return 0.0 if self._lease is None else self._lease.held_until() - self._margin

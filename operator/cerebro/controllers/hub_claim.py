"""Who carries a Hub (rule E4): the agent of its node, or the holder of its Lease.

The holder acts only for as long as it could hold the Lease without another renewal, less a margin, and has
the keeper of userspace interfaces drop the tunnel at that time: so whoever stops or is cut off has lost the
tunnel before another may act. At our own end the Lease is not given back: a restart goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cerebro.kube.lease import Lease
from cerebro.resources import Hub

_LEAST_MARGIN = 1.0


def hub_lease(hub: str) -> str:
    """Return the name of the Lease of a Hub without a node, in the Hub's namespace."""
    return f"cerebro-hub-{hub}"


def margin(duration: float) -> float:
    """Return how long before the end of a Lease its holder stops: a fifth of it, at least a second."""
    return max(_LEAST_MARGIN, duration / 5)


def may_be_ours(hub: Hub, node: str) -> bool:
    """Tell whether this node carries the Hub or takes part in its Lease."""
    return hub.spec.node_name in (None, node)


class Claim:
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
        self._margin = margin(duration)
        self._changed, self._renewed = changed, renewed
        self._fixed = False
        self._lease: Lease | None = None
        self._task: asyncio.Task[None] | None = None

    def follow(self, hub: Hub | None, node: str) -> None:
        """Take part as the Hub asks for; None takes no part."""
        self._fixed = hub is not None and hub.spec.node_name == node
        leased = hub is not None and hub.spec.node_name is None
        if leased and self._task is None:
            self._lease = self._make(self._changed, self._renewed)
            self._task = asyncio.create_task(self._lease.run(), name="Lease of a Hub")
        elif not leased and self._task is not None:
            self._task.cancel()
            self._task, self._lease = None, None

    @property
    def fixed(self) -> bool:
        """Tell whether it is ours by its node and not by a Lease."""
        return self._fixed

    def owns(self) -> bool:
        """Tell whether we may act now; ask immediately before acting on it."""
        return self._fixed or self.seconds_left() > 0

    def seconds_left(self) -> float:
        """Give for how long we may act by the Lease without another renewal; not above 0: not at all."""
        return 0.0 if self._lease is None else self._lease.remaining() - self._margin

    def deadline(self) -> float | None:
        """Give the seconds after which the keeper drops the interface; None: never."""
        return None if self._fixed else max(0.0, self.seconds_left())

    def close(self) -> None:
        """Renew no more."""
        if self._task is not None:
            self._task.cancel()

"""What a node carries the interfaces of Hubs with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cerebro.resources import Hub
from cerebro.wireguard.backend import Backend
from cerebro.wireguard.nft import Nft


@dataclass(frozen=True, slots=True)
class NodeBackends:
    """The backends of a node, and the settings that all its Hubs share."""

    node: str
    """The node's name."""

    kernel: Backend

    userspace: Backend

    nft: Nft

    lease_duration: float
    """Seconds that a Lease of a Hub lasts without a renewal."""

    lease_renew: float
    """Seconds between two renewals."""

    dry_run: bool = False

    def backends(self, hub: Hub) -> Sequence[Backend]:
        """Return the backends that may carry a Hub, in the order in which they
        are tried (rule E4).

        A leased Hub is carried in userspace only: the kernel has no watchdog.
        """
        leased = hub.spec.node_name is None
        if leased or hub.spec.implementation == "Userspace":
            return (self.userspace,)

        if hub.spec.implementation == "Kernel":
            return (self.kernel,)

        return (self.kernel, self.userspace)

"""What a node carries the interfaces of Hubs with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cerebro.resources import Hub
from cerebro.wireguard.backend import Backend
from cerebro.wireguard.nft import Nft


@dataclass(frozen=True, slots=True)
class NodeBackends:
    """What a node carries interfaces with, and the time that a Lease of a Hub lasts, in seconds."""

    node: str
    kernel: Backend
    userspace: Backend
    nft: Nft
    lease_duration: float
    lease_renew: float
    dry_run: bool = False

    def backends(self, hub: Hub) -> Sequence[Backend]:
        """Return those that may carry a Hub, in the order in which they are tried (rule E4)."""
        if hub.spec.node_name is None or hub.spec.implementation == "Userspace":
            return (self.userspace,)
        return (self.kernel,) if hub.spec.implementation == "Kernel" else (self.kernel, self.userspace)

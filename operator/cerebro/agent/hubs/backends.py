"""What a node carries the interfaces of Hubs with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cerebro.domain.leases import hub_lease
from cerebro.kube.client.api import KubeApi
from cerebro.kube.lease import Lease
from cerebro.resources import Hub
from cerebro.wireguard import choose
from cerebro.wireguard.backend import Backend
from cerebro.wireguard.nft import Nft

Callback = Callable[[], None]


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
    """Whether nothing is written to any Hub's interface (rule F6)."""

    def backends(self, hub: Hub) -> Sequence[Backend]:
        """Return the backends that may carry a Hub, in the order in which they
        are tried (rule E4).

        A leased Hub is carried in userspace only: the kernel has no watchdog.
        """
        leased = hub.spec.node_name is None
        if hub.spec.implementation == "Userspace":
            return (self.userspace,)

        if not leased and hub.spec.implementation == "Kernel":
            return (self.kernel,)

        return self.readable(leased=leased)

    def readable(self, *, leased: bool) -> Sequence[Backend]:
        """Return the backends that may have the interface of a Hub of which
        only this is known.
        """
        return (self.userspace,) if leased else (self.kernel, self.userspace)

    def to_drop(self, hub: Hub) -> tuple[bool, list[str]]:
        """Return whether the Hub's interface is up, and in words what `drop`
        would remove. Raises WireGuardError.
        """
        name = hub.spec.interface
        carrier = choose.find(self.backends(hub), name)
        up, parts = False, []

        if carrier is not None:
            up = carrier[1].up
            parts.append(f"remove the interface {name}")

        if self.nft.read(name) is not None:
            parts.append(f"remove the nftables table of {name}")

        return up, parts

    def drop(self, hub: Hub) -> None:
        """Remove the interface of a Hub, and what belongs to it. Raises
        WireGuardError.
        """
        choose.drop(self.backends(hub), hub.spec.interface)
        self.nft.drop(hub.spec.interface)

    def lease(
        self,
        api: KubeApi,
        namespace: str,
        hub: str,
        *,
        changed: Callback,
        renewed: Callback,
    ) -> Lease:
        """Return this node's part in the Lease of a Hub (rule E4).

        `changed` is called when it is gained or lost, `renewed` at each
        renewal.
        """
        return Lease(
            api,
            namespace,
            hub_lease(hub),
            self.node,
            duration=self.lease_duration,
            renew=self.lease_renew,
            gained=changed,
            lost=changed,
            renewed=renewed,
            release=False,
        )

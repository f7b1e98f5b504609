"""A Hub's node, a few lines long: its Hub, an interface behind a keeper, its Lease."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from cerebro.agent.hubs.ownership import Ownership
from cerebro.kube.client.errors import NotFound
from cerebro.kube.client.secrets import Secret
from cerebro.kube.lease import Lease
from cerebro.resources import Hub
from cerebro.resources.naming import SECRET_TYPE_WIREGUARD
from cerebro.runtime.clock import boottime
from cerebro.wireguard.backend import WireGuardError
from cerebro.wireguard.keys import derive_public_key
from cerebro.wireguard.model import Interface, LinkChange, PeerChange

BORN = datetime(2026, 5, 1, tzinfo=UTC)


def a_hub(
    name: str = "hub",
    *,
    age: int = 0,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> Hub:
    """Make a Hub without a node, that is so many days old."""
    meta = {
        "name": name,
        "namespace": "ns",
        "uid": f"uid-{name}",
        "generation": 1,
        "creationTimestamp": BORN - timedelta(days=age),
    }
    words = {"addresses": ["10.64.0.1/16"], "isolation": "None", **spec}
    return Hub.model_validate(
        {"metadata": meta, "spec": words, "status": status or {}}
    )


class HeldLease:
    """A Lease that is held for as long as the test says, by `boottime`."""

    def __init__(self) -> None:
        self.until = boottime() + 1000
        self.given_back = False

    def held_until(self) -> float:
        return self.until

    def give_back(self) -> None:
        self.given_back = True

    async def run(self) -> None:
        return


class Leases:
    """Makes Leases for a Claim; `made` are all of them."""

    def __init__(self) -> None:
        self.made: list[HeldLease] = []

    def __call__(self, changed: object, renewed: object) -> Lease:
        self.made.append(HeldLease())
        return self.made[-1]  # type: ignore[return-value]

    def claim(self, duration: float = 15.0) -> Ownership:
        return Ownership(
            self, duration=duration, changed=lambda: None, renewed=lambda: None
        )


class Secrets:
    """An API server with one Secret, or none; `made` are those that were created."""

    def __init__(self, private_key: str | None) -> None:
        self.private_key = private_key
        self.made: list[str] = []

    async def get_secret(self, namespace: str, name: str) -> Secret:
        if self.private_key is None:
            raise NotFound("no such Secret")
        data = {"privateKey": self.private_key.encode()}
        return Secret(namespace, name, "uid", SECRET_TYPE_WIREGUARD, {}, data)

    async def create_secret(self, namespace: str, name: str, **_: Any) -> None:
        self.made.append(name)


class FakeInterface:
    """A backend with one interface, or none; `calls` are the writes, `refreshed` the deadlines."""

    implementation: Literal["Kernel", "Userspace"] = "Userspace"

    def __init__(
        self, private_key: str | None = None, *, there: bool = True
    ) -> None:
        self.private_key, self.there = private_key, there
        self.calls: list[str] = []
        self.refreshed: list[float | None] = []
        self.foreign = False
        self.refusing: dict[str, str] = {}
        """What of a link is refused, in words."""
        self.routes: set[str] = set()

    def read(self, name: str) -> Interface | None:
        if not self.there:
            return None
        private = self.private_key
        return Interface(
            name,
            private,
            derive_public_key(private) if private else None,
            up=True,
        )

    def ensure(
        self, name: str, mtu: int, deadline: float | None = None
    ) -> None:
        self.calls.append("ensure")
        self.there = True

    def refresh(self, name: str, deadline: float | None) -> None:
        if self.foreign or not self.there:
            raise WireGuardError("not carried")
        self.refreshed.append(deadline)

    def set_device(
        self,
        name: str,
        *,
        private_key: str | None = None,
        listen_port: int | None = None,
    ) -> None:
        self.calls.append("set_device")
        self.private_key = private_key or self.private_key

    def set_peers(
        self, name: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        self.calls.append("set_peers")
        return {}

    def set_link(self, name: str, change: LinkChange) -> dict[str, str]:
        self.calls.append("set_link")
        self.routes |= {*change.add_routes} - self.refusing.keys()
        return {
            what: why
            for what, why in self.refusing.items()
            if what in change.add_routes + change.add_addresses
        }

    def drop(self, name: str) -> None:
        self.calls.append("drop")
        self.there = False

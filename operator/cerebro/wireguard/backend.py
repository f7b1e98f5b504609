"""The one interface behind which the kernel, userspace and the dry run stand, and its errors.

Calls block, with deadlines of their own, and belong in a thread. None of them decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from cerebro.wireguard.model import Interface, LinkChange, PeerChange

Implementation = Literal["Kernel", "Userspace"]


class WireGuardError(Exception):
    """What could not be done; `reason` is a condition's reason, the message says what to do."""

    reason = "WireGuardError"


class NotAvailable(WireGuardError):
    """This node has no such WireGuard: no kernel module, or no tunnel process that carries it."""

    reason = "WireGuardNotAvailable"


class NotPermitted(WireGuardError):
    """The process lacks NET_ADMIN."""

    reason = "NotPermitted"


class PortInUse(WireGuardError):
    """Another socket on the node has the listen port."""

    reason = "ListenPortInUse"


class ForeignInterface(WireGuardError):
    """An interface of that name exists and is no WireGuard interface; it is never touched."""

    reason = "InterfaceConflict"


class Backend(Protocol):
    """Each call raises WireGuardError."""

    @property
    def implementation(self) -> Implementation:
        """Which one it is."""

    def read(self, name: str) -> Interface | None:
        """Return the interface with all its peers; None when there is none of that name."""

    def ensure(self, name: str, mtu: int, deadline: float | None = None) -> None:
        """Have the interface exist; one that exists stays as it is.

        `deadline`: the time by `boottime` at which it is dropped unless it is refreshed (rule E4); userspace
        only.
        """

    def refresh(self, name: str, deadline: float | None) -> None:
        """Set the deadline of an interface that is there; make none. Userspace only."""

    def set_device(
        self, name: str, *, private_key: str | None = None, listen_port: int | None = None
    ) -> None:
        """Set what is given."""

    def set_peers(self, name: str, changes: Sequence[PeerChange]) -> dict[str, str]:
        """Make the changes in their order; return what was refused, in words, by public key."""

    def set_link(self, name: str, change: LinkChange) -> dict[str, str]:
        """Change addresses, MTU, state and routes; return what was refused, in words, by address or network."""

    def drop(self, name: str) -> None:
        """Remove the interface; none of that name is no error."""


class IsolationNotAvailable(NotAvailable):
    """This node has no nftables: no program, or a kernel without it."""

    reason = "IsolationNotAvailable"

"""The interface that the kernel, userspace and the dry run implement, and its
errors.

Calls block, with deadlines of their own, and belong in a thread. None of them
decides anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from cerebro.wireguard.model import Interface, LinkChange, PeerChange

Implementation = Literal["Kernel", "Userspace"]
"""As `spec.implementation` of a Hub names it."""


class WireGuardError(Exception):
    """Something could not be done on this node.

    `reason` is the reason of a condition; the message says what to do about
    it.
    """

    reason = "WireGuardError"


class NotAvailable(WireGuardError):
    """This node has no such WireGuard: no kernel module, or no tunnel process
    that carries the interface.
    """

    reason = "WireGuardNotAvailable"


class NotPermitted(WireGuardError):
    """The process lacks NET_ADMIN."""

    reason = "NotPermitted"


class PortInUse(WireGuardError):
    """Another socket on the node has the listen port."""

    reason = "ListenPortInUse"


class ForeignInterface(WireGuardError):
    """An interface of that name exists and is no WireGuard interface of ours;
    it is never touched.
    """

    reason = "InterfaceConflict"


class IsolationNotAvailable(NotAvailable):
    """This node has no nftables: no program, or a kernel without it."""

    reason = "IsolationNotAvailable"


class Backend(Protocol):
    """Reads and changes the interfaces of one implementation. Each call raises
    WireGuardError.

    `name` is the name of an interface, such as `wg0`.
    """

    @property
    def implementation(self) -> Implementation:
        """Which implementation this is."""

    def read(self, name: str) -> Interface | None:
        """Return the interface with all its peers; None if none has that name."""

    def ensure(
        self, name: str, mtu: int, deadline: float | None = None
    ) -> None:
        """Make the interface if none has that name; one that exists stays as
        it is.

        `deadline`: the time by `boottime` at which the interface is dropped
        unless it is refreshed (rule E4). Only userspace has such deadlines.
        """

    def refresh(self, name: str, deadline: float | None) -> None:
        """Set the deadline of an interface that exists; make none. Only
        userspace has deadlines.
        """

    def set_device(
        self,
        name: str,
        *,
        private_key: str | None = None,
        listen_port: int | None = None,
    ) -> None:
        """Set the private key (base64), the UDP port, or both; None leaves one
        as it is.
        """

    def set_peers(
        self, name: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        """Make the changes in their order.

        Return why a change was refused, in words, by public key. One that is
        refused stops no other.
        """

    def set_link(self, name: str, change: LinkChange) -> dict[str, str]:
        """Change addresses, MTU, state and routes.

        Return why a change was refused, in words, by address or network. One
        that is refused stops no other.
        """

    def drop(self, name: str) -> None:
        """Remove the interface; it is no error if none has that name."""

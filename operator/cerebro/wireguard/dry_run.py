"""A dry run: reads what carries WireGuard, and notes in words what would be
written instead of writing it.
"""

from __future__ import annotations

from collections.abc import Sequence

from cerebro.wireguard.backend import Backend, Implementation
from cerebro.wireguard.model import Interface, LinkChange, PeerChange
from cerebro.wireguard.words import link_words, peer_words

LINES = 256
"""Lines that are kept; of more changes only the number is told."""


class DryRun:
    """A Backend around another one, which it reads and never changes."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lines: list[str] = []
        self._more = 0
        """Changes beyond those lines."""

    @property
    def implementation(self) -> Implementation:
        """Which implementation would write."""
        return self._backend.implementation

    def take(self) -> list[str]:
        """Return what would have been written since the last call: at most 256
        lines, then how many more.
        """

        lines = self._lines
        if self._more:
            lines = [*lines, f"and {self._more} more changes"]

        self._lines = []
        self._more = 0

        return lines

    def read(self, name: str) -> Interface | None:
        """Return the interface as it really is; see Backend."""
        return self._backend.read(name)

    def ensure(
        self,
        name: str,
        mtu: int,
        deadline: float | None = None,  # noqa: ARG002 - the Protocol's
    ) -> None:
        """Note that the interface would be made, unless it exists: then
        nothing would change.
        """
        if self._backend.read(name) is None:
            self._note(name, f"make the interface, MTU {mtu}")

    def refresh(self, name: str, deadline: float | None) -> None:
        """Keep the interface from being dropped: a dry run must not end a
        tunnel either.
        """
        self._backend.refresh(name, deadline)

    def set_device(
        self,
        name: str,
        *,
        private_key: str | None = None,
        listen_port: int | None = None,
    ) -> None:
        """Note what would be set; never the key itself."""
        if private_key is not None:
            self._note(name, "set the private key")

        if listen_port is not None:
            self._note(name, f"listen on port {listen_port}")

    def set_peers(
        self, name: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        """Note each change; nothing is refused."""
        for change in changes:
            self._note(name, peer_words(change))

        return {}

    def set_link(self, name: str, change: LinkChange) -> dict[str, str]:
        """Note each change; nothing is refused."""
        for line in link_words(change):
            self._note(name, line)

        return {}

    def drop(self, name: str) -> None:
        """Note that the interface would be removed, if it exists."""
        if self._backend.read(name) is not None:
            self._note(name, "remove the interface")

    def _note(self, name: str, line: str) -> None:
        if len(self._lines) < LINES:
            self._lines.append(f"{name}: {line}")
        else:
            self._more += 1

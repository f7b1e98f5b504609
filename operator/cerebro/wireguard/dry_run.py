"""A dry run: reads what carries WireGuard, and says in words what would be written instead of writing it."""

from __future__ import annotations

from collections.abc import Sequence

from cerebro.wireguard.backend import Backend, Implementation
from cerebro.wireguard.model import Interface, LinkChange, PeerChange
from cerebro.wireguard.words import link_words, peer_words

LINES = 256


class DryRun:
    """A Backend around another one; that one is read, and never changed."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._lines: list[str] = []
        self._more = 0

    @property
    def implementation(self) -> Implementation:
        """Which one it would be."""
        return self._backend.implementation

    def take(self) -> list[str]:
        """Return what would have been written since the last call: at most 256 lines, then how many more."""
        lines = self._lines + ([f"and {self._more} more changes"] if self._more else [])
        self._lines, self._more = [], 0
        return lines

    def read(self, name: str) -> Interface | None:
        """Return the interface as it really is; see Backend."""
        return self._backend.read(name)

    def ensure(self, name: str, mtu: int, deadline: float | None = None) -> None:  # noqa: ARG002 - as it would be
        """Say that the interface would be made, where there is none; on one that exists it changes nothing."""
        if self._backend.read(name) is None:
            self._say(name, f"make the interface, MTU {mtu}")

    def refresh(self, name: str, deadline: float | None) -> None:
        """Keep the interface from being dropped: a dry run must not end a tunnel either."""
        self._backend.refresh(name, deadline)

    def set_device(
        self, name: str, *, private_key: str | None = None, listen_port: int | None = None
    ) -> None:
        """Say what would be set."""
        if private_key is not None:
            self._say(name, "set the private key")
        if listen_port is not None:
            self._say(name, f"listen on port {listen_port}")

    def set_peers(self, name: str, changes: Sequence[PeerChange]) -> dict[str, str]:
        """Say each change; nothing is refused."""
        for change in changes:
            self._say(name, peer_words(change))
        return {}

    def set_link(self, name: str, change: LinkChange) -> dict[str, str]:
        """Say each change; nothing is refused."""
        for line in link_words(change):
            self._say(name, line)
        return {}

    def drop(self, name: str) -> None:
        """Say that the interface would go, where there is one."""
        if self._backend.read(name) is not None:
            self._say(name, "remove the interface")

    def _say(self, name: str, line: str) -> None:
        if len(self._lines) < LINES:
            self._lines.append(f"{name}: {line}")
        else:
            self._more += 1

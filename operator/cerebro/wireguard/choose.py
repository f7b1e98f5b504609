"""Which implementation carries an interface: the one that has it, else the first that can make it."""

from __future__ import annotations

from collections.abc import Sequence

from cerebro.wireguard.backend import Backend, ForeignInterface, NotAvailable, WireGuardError
from cerebro.wireguard.model import Interface


def find(candidates: Sequence[Backend], name: str) -> tuple[Backend, Interface] | None:
    """Return who has the interface, and what it is; None when nobody has. Raises WireGuardError."""
    trouble: WireGuardError | None = None
    for backend in candidates:
        try:
            interface = backend.read(name)
        except (NotAvailable, ForeignInterface) as error:
            trouble = error
            continue
        if interface is not None:
            return backend, interface
    if isinstance(trouble, ForeignInterface):
        raise trouble
    return None


def make(
    candidates: Sequence[Backend], name: str, mtu: int, deadline: float | None
) -> tuple[Backend, Interface]:
    """Make the interface with the first that can. Raises WireGuardError that says why nobody could."""
    troubles: list[WireGuardError] = []
    for backend in candidates:
        try:
            backend.ensure(name, mtu, deadline)
            return backend, backend.read(name) or Interface(name)
        except NotAvailable as error:
            troubles.append(error)
    raise NotAvailable("; ".join(map(str, troubles)))


def drop(candidates: Sequence[Backend], name: str) -> None:
    """Remove the interface with the one that has it; none of that name is no error. Raises WireGuardError."""
    if found := find(candidates, name):
        found[0].drop(name)

"""Which implementation carries an interface: the one that has it, else the
first that can make it.

Candidates are tried in their order. Calls block, as those of a Backend.
"""

from __future__ import annotations

from collections.abc import Sequence

from cerebro.wireguard.backend import (
    Backend,
    ForeignInterface,
    NotAvailable,
    WireGuardError,
)
from cerebro.wireguard.model import Interface


def find(
    candidates: Sequence[Backend], name: str
) -> tuple[Backend, Interface] | None:
    """Return the backend that has an interface, and the interface as it is;
    None if no backend has it.

    Raises ForeignInterface if something else has the name, and WireGuardError.
    """
    trouble: WireGuardError | None = None
    for backend in candidates:
        try:
            interface = backend.read(name)
        except (NotAvailable, ForeignInterface) as error:
            # The interface may still be the next candidate's: for the kernel,
            # one in userspace is foreign.
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
    """Make an interface with the first candidate that can; return that
    backend, and the interface as it is.

    `deadline` as in `Backend.ensure`. Raises NotAvailable, with the reasons of
    all candidates, if none can, and WireGuardError.
    """
    troubles: list[WireGuardError] = []
    for backend in candidates:
        try:
            backend.ensure(name, mtu, deadline)
            return backend, backend.read(name) or Interface(name)
        except NotAvailable as error:
            troubles.append(error)

    raise NotAvailable("; ".join(map(str, troubles)))


def drop(candidates: Sequence[Backend], name: str) -> None:
    """Remove an interface with the backend that has it; it is no error if no
    backend has it.

    Raises as `find`.
    """
    carrier = find(candidates, name)
    if carrier is None:
        return

    backend, _ = carrier
    backend.drop(name)

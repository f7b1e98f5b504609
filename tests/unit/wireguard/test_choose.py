"""Which implementation has an interface: what the others say of it is no obstacle. Pure: backends are faked."""

from __future__ import annotations

from typing import cast

import pytest

from cerebro.wireguard import choose
from cerebro.wireguard.backend import Backend, ForeignInterface, WireGuardError
from cerebro.wireguard.model import Interface


class Fake:
    """It has the interface, or none, or refuses to say; `dropped` are those that it removed."""

    def __init__(self, answer: Interface | WireGuardError | None) -> None:
        self._answer = answer
        self.dropped: list[str] = []

    def read(self, name: str) -> Interface | None:
        if isinstance(self._answer, WireGuardError):
            raise self._answer
        return self._answer

    def drop(self, name: str) -> None:
        self.dropped.append(name)


FOREIGN, CARRIED = (
    ForeignInterface("an interface wg0 of kind tun exists"),
    Interface("wg0"),
)


def drop(*fakes: Fake) -> None:
    choose.drop(cast("tuple[Backend, ...]", fakes), "wg0")


def test_an_interface_is_dropped_with_the_one_that_has_it() -> None:
    """Cleanup of a Hub whose `Auto` came to userspace: to the kernel's side its tun is somebody else's."""
    kernel, userspace = Fake(FOREIGN), Fake(CARRIED)
    drop(kernel, userspace)
    assert (kernel.dropped, userspace.dropped) == ([], ["wg0"])


def test_what_is_nobodys_is_not_dropped() -> None:
    kernel, userspace = (
        Fake(FOREIGN),
        Fake(ForeignInterface("nothing answers on wg0.sock")),
    )
    with pytest.raises(ForeignInterface):
        drop(kernel, userspace)
    absent = (Fake(None), Fake(None))
    drop(*absent)
    assert [one.dropped for one in (kernel, userspace, *absent)] == [
        [],
        [],
        [],
        [],
    ]

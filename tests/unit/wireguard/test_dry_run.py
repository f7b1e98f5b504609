"""The dry run: reads pass, writes become words, and no word is a secret. The backend behind it is a fake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cerebro.wireguard.backend import Backend
from cerebro.wireguard.dry_run import LINES, DryRun
from cerebro.wireguard.model import Interface, LinkChange, PeerChange


class OneInterface:
    """A backend with `wg0` only, which may be read and kept, but not changed."""

    implementation: Literal["Kernel", "Userspace"] = "Userspace"

    def __init__(self) -> None:
        self.kept: list[float | None] = []

    def read(self, name: str) -> Interface | None:
        return Interface("wg0", listen_port=7) if name == "wg0" else None

    def ensure(
        self, name: str, mtu: int, deadline: float | None = None
    ) -> None:
        raise AssertionError(name)

    def refresh(self, name: str, deadline: float | None) -> None:
        assert name == "wg0"
        self.kept.append(deadline)

    def set_device(
        self,
        name: str,
        *,
        private_key: str | None = None,
        listen_port: int | None = None,
    ) -> None:
        raise AssertionError(name)

    def set_peers(
        self, name: str, changes: Sequence[PeerChange]
    ) -> dict[str, str]:
        raise AssertionError(name)

    def set_link(self, name: str, change: LinkChange) -> dict[str, str]:
        raise AssertionError(name)

    def drop(self, name: str) -> None:
        raise AssertionError(name)


def test_writes_become_words_and_nothing_is_written() -> None:
    dry = DryRun(OneInterface())
    backend: Backend = dry
    assert backend.implementation == "Userspace"
    assert backend.read("wg0") == Interface("wg0", listen_port=7)
    backend.ensure("wg1", 1420)
    backend.set_device("wg1", private_key="SECRET", listen_port=51820)
    changes = [
        PeerChange(
            "K1",
            allowed_ips=("10.0.0.2/32",),
            preshared_key="SECRET",
            persistent_keepalive=25,
            endpoint=("2001:db8::1", 1),
        ),
        PeerChange(
            "K2",
            update_only=True,
            preshared_key="",
            persistent_keepalive=0,
            endpoint=("192.0.2.1", 2),
        ),
        PeerChange("K3", update_only=True, replace_allowed_ips=True),
        PeerChange("K4", remove=True),
    ]
    assert backend.set_peers("wg1", changes) == {}
    assert (
        backend.set_link(
            "wg1", LinkChange(1420, True, ("a",), ("b",), ("c",), ("d",))
        )
        == {}
    )
    backend.drop("wg0")
    backend.drop("wg1")
    assert dry.take() == [
        "wg1: make the interface, MTU 1420",
        "wg1: set the private key",
        "wg1: listen on port 51820",
        "wg1: peer K1: add; allow 10.0.0.2/32; set the preshared key; keepalive every 25 s; dial [2001:db8::1]:1",
        "wg1: peer K2: change; remove the preshared key; no keepalive; dial 192.0.2.1:2",
        "wg1: peer K3: change; allowed addresses become none",
        "wg1: peer K4: remove",
        "wg1: MTU becomes 1420",
        "wg1: bring the interface up",
        "wg1: add address a",
        "wg1: remove address b",
        "wg1: add route c",
        "wg1: remove route d",
        "wg0: remove the interface",
    ]
    assert dry.take() == []


def test_e4_an_interface_that_exists_is_kept_from_its_watchdog() -> None:
    behind = OneInterface()
    dry = DryRun(behind)
    dry.ensure("wg0", 1420, 20.0)
    dry.refresh("wg0", 20.0)
    assert (behind.kept, dry.take()) == ([20.0], [])


def test_no_more_lines_are_kept_than_a_status_holds() -> None:
    dry = DryRun(OneInterface())
    dry.set_peers(
        "wg0", [PeerChange(str(n), remove=True) for n in range(LINES + 3)]
    )
    lines = dry.take()
    assert (len(lines), lines[-1]) == (LINES + 1, "and 3 more changes")


def test_no_repr_shows_a_secret() -> None:
    assert "SECRET" not in repr(PeerChange("K", preshared_key="SECRET"))

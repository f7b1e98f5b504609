"""Brings an interface to its plan: writes one part after the other, each in a
thread. Decides nothing.

No part is written after one that failed, so that no peer comes while the
isolation table is not right (rule D3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cerebro.runtime.threads import in_thread
from cerebro.wireguard import isolation
from cerebro.wireguard.backend import Backend
from cerebro.wireguard.nft import Nft
from cerebro.wireguard.plan import InterfacePlan, TableStep

Step = Callable[[], None]


@dataclass(slots=True)
class Applied:
    """What became of a plan."""

    peers_changed: bool = False
    """Whether the changes of peers were made, but those in `refused_peers`."""
    refused_peers: dict[str, str] = field(default_factory=dict)
    """Why a peer was not changed, in words, by public key."""
    refused_link: dict[str, str] = field(default_factory=dict)
    """Why the link was not changed, in words, by address or network."""
    failure: Exception | None = None
    """The error that ended it; the parts after that one were not written."""


async def apply(
    plan: InterfacePlan, backend: Backend, nft: Nft, check: Callable[[], None]
) -> Applied:
    """Make the changes of a plan in their order; return what became of them,
    also when a part failed.

    `check` is called immediately before each write and raises where this
    process may not write any more; its error is raised, and nothing is written
    after it.
    """
    applied = Applied()
    for step in _steps(plan, backend, nft, applied):
        check()

        try:
            await in_thread(step)
        except Exception as error:  # noqa: BLE001 - the caller judges it, with what was written before
            applied.failure = error
            break

    return applied


def _steps(
    plan: InterfacePlan, backend: Backend, nft: Nft, applied: Applied
) -> Iterator[Step]:
    """Yield what has to be written, one part after the other; parts without a
    change are left out.
    """

    name = plan.name

    def set_device() -> None:
        backend.set_device(
            name, private_key=plan.private_key, listen_port=plan.listen_port
        )

    def set_peers() -> None:
        applied.refused_peers = backend.set_peers(name, plan.peers)
        applied.peers_changed = True

    def set_link() -> None:
        applied.refused_link = backend.set_link(name, plan.link)

    if plan.private_key is not None or plan.listen_port is not None:
        yield set_device

    if plan.table_step is TableStep.REMOVE:
        yield lambda: nft.drop(name)

    if plan.table_step is TableStep.REPAIR:
        yield lambda: _repair_table(plan, nft)

    if plan.peers:
        yield set_peers

    if plan.link:
        yield set_link


def _repair_table(plan: InterfacePlan, nft: Nft) -> None:
    """Write what differs between the table that is there and the one that
    should be.
    """
    commands = isolation.plan(plan.table, nft.read(plan.name))
    if commands:
        nft.apply(commands)

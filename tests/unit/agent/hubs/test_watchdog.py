"""What keeps a tunnel from its watchdog (rule E4), whatever passes do. Interface and Lease are fakes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from cerebro.agent.hubs import watchdog as keeping
from cerebro.agent.hubs.watchdog import Watchdog
from cerebro.runtime.clock import boottime
from cerebro.runtime.threads import in_thread
from cerebro.wireguard.keys import derive_public_key, generate_private_key
from support.hub_node import FakeInterface, Leases, a_hub

PRIVATE = generate_private_key()


class Kept:
    """A Keeping over fakes, for a Hub without a node."""

    def __init__(self, interface: FakeInterface) -> None:
        self.interface, self.renewed, self.gone = (
            interface,
            asyncio.Event(),
            asyncio.Event(),
        )
        leases = Leases()
        self.claim = leases.claim()
        self.claim.follow(a_hub(), "node")
        self.lease = leases.made[0]
        self.keeping = Watchdog(
            self.claim, interface, self.renewed, self.gone.set
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.keeping.run())
        yield
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object]) -> None:
    """Wait for what happens in tasks and threads; bounded."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 30 s")


async def test_e4_each_renewal_moves_the_deadline_and_nothing_else_is_written() -> (
    None
):
    kept = Kept(FakeInterface(PRIVATE))
    kept.keeping.begin(kept.interface, "wg0")
    async with kept.running():
        for number in range(1, 4):
            kept.lease.until += 5
            kept.renewed.set()
            await until(
                lambda number=number: len(kept.interface.refreshed) == number  # type: ignore[misc]
            )
            assert kept.interface.refreshed[-1] == kept.claim.deadline()
    assert kept.interface.calls == []


async def test_e4_what_is_not_there_is_not_made_but_told() -> None:
    kept = Kept(FakeInterface(there=False))
    kept.keeping.begin(kept.interface, "wg0")
    async with kept.running():
        kept.renewed.set()
        await asyncio.wait_for(kept.gone.wait(), 30)
    assert (kept.interface.there, kept.interface.calls) == (False, [])


@pytest.mark.parametrize("why", ["not carried", "ran out"])
async def test_e4_nothing_is_kept_that_we_do_not_carry_or_whose_lease_ran_out(
    why: str,
) -> None:
    kept = Kept(FakeInterface(PRIVATE))
    if why == "ran out":
        kept.keeping.begin(kept.interface, "wg0")
        kept.lease.until = boottime()
    async with kept.running():
        kept.renewed.set()
        await until(lambda: not kept.renewed.is_set())
    assert (kept.interface.refreshed, kept.gone.is_set()) == ([], False)


async def test_e4_what_was_ours_before_a_restart_is_known_by_its_key() -> None:
    kept = Kept(FakeInterface(PRIVATE))
    await kept.keeping.adopt("wg0", derive_public_key(generate_private_key()))
    await kept.keeping.adopt("wg0", None)
    await kept.keeping.adopt(None, derive_public_key(PRIVATE))
    assert kept.keeping.backend is None
    assert kept.interface.refreshed == []
    kept.interface.foreign = True
    await kept.keeping.adopt("wg0", derive_public_key(PRIVATE))
    assert kept.keeping.backend is None
    kept.interface.foreign = False
    await kept.keeping.adopt("wg0", derive_public_key(PRIVATE))
    assert kept.keeping.backend is kept.interface
    assert kept.interface.refreshed == [kept.claim.deadline()]


async def test_only_what_is_ours_is_dropped_and_only_what_is_gone_is_said_to_be() -> (
    None
):
    kept = Kept(FakeInterface(PRIVATE))
    assert not await kept.keeping.drop("wg0")
    assert kept.interface.there
    kept.keeping.begin(kept.interface, "wg0")
    assert await kept.keeping.drop("wg0")
    assert (kept.interface.there, kept.keeping.backend) == (False, None)


async def test_e4_name_servers_that_do_not_answer_hold_up_no_interface() -> (
    None
):
    """E4: asyncio asks them in threads of its own, which may all be waiting."""
    end = threading.Event()
    asyncio.get_running_loop().set_default_executor(
        waiting := ThreadPoolExecutor(1)
    )
    try:
        waiting.submit(end.wait)
        assert await in_thread(lambda: "done") == "done"
    finally:
        end.set()


async def test_e16_an_interface_that_is_another_link_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """E16: not one that was there from the start, nor one that somebody else carries."""
    links: dict[str, int] = {"wg0": 5, "wg1": 6}
    monkeypatch.setattr(keeping, "link_index", links.get)
    monkeypatch.setattr(keeping, "_LOOK", 0.001)
    kept = Kept(FakeInterface(PRIVATE))
    kept.keeping.begin(kept.interface, "wg0")
    task = asyncio.create_task(kept.keeping.run())
    await asyncio.sleep(0.05)
    assert not kept.gone.is_set()
    links["wg0"] = 9
    await until(kept.gone.is_set)
    kept.gone.clear()
    del links["wg0"]
    await until(kept.gone.is_set)
    kept.gone.clear()
    links["wg0"] = 10
    await until(kept.gone.is_set)
    kept.gone.clear()
    kept.keeping.end()
    links["wg0"] = 11
    await asyncio.sleep(0.05)
    assert not kept.gone.is_set()
    task.cancel()


def test_the_number_of_a_link() -> None:
    """Loopback is there wherever tests run."""
    assert keeping.link_index("lo")
    assert keeping.link_index("no-such-link") is None

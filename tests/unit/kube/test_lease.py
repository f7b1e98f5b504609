"""Leases (E1, E12, E14): decisions with times of our choosing, then `Lease` with a few lines of API server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    Unavailable,
)
from cerebro.kube.election import Election, LeaseRecord, Move
from cerebro.kube.lease import Lease
from cerebro.runtime.times import BootTime


def record(holder: str, version: str, duration: float = 15) -> LeaseRecord:
    return LeaseRecord(holder, duration, version)


def test_e1_no_lease_is_created_and_an_unheld_one_taken_at_once() -> None:
    election = Election("me", 15)
    assert election.observe(None, BootTime(0)) is Move.CREATE
    assert election.observe(record("", "1"), BootTime(0)) is Move.TAKE


def test_e1_a_rival_waits_the_full_duration_from_the_last_change_it_saw() -> (
    None
):
    election = Election("me", 15)
    assert election.observe(record("other", "1"), BootTime(100)) is Move.WAIT
    assert election.observe(record("other", "1"), BootTime(114.9)) is Move.WAIT
    assert election.observe(record("other", "2"), BootTime(114.9)) is Move.WAIT
    assert election.observe(record("other", "2"), BootTime(129.8)) is Move.WAIT
    assert election.observe(record("other", "2"), BootTime(129.9)) is Move.TAKE


def test_e1_the_longer_of_both_durations_is_waited() -> None:
    election = Election("me", 15)
    election.observe(record("other", "1", 60), BootTime(0))
    assert (
        election.observe(record("other", "1", 60), BootTime(59)) is Move.WAIT
    )
    assert (
        election.observe(record("other", "1", 60), BootTime(60)) is Move.TAKE
    )


def test_e1_held_counts_from_before_the_request_was_sent() -> None:
    election = Election("me", 15)
    election.written(record("me", "1"), sent_at=BootTime(100))
    assert election.held(BootTime(114.9))
    assert not election.held(BootTime(115))


def test_e1_what_another_holds_is_not_ours_however_young_our_renewal() -> None:
    election = Election("me", 15)
    election.written(record("me", "1"), sent_at=BootTime(100))
    assert election.observe(record("other", "2"), BootTime(101)) is Move.WAIT
    assert not election.held(BootTime(101))


def test_e4_a_lease_that_was_deleted_is_not_anothers_before_its_holder_has_surely_lost_it() -> (
    None
):
    """E4: the holder may have renewed between our last look and the deletion, so the time counts from there."""
    election = Election("me", 15)
    election.observe(record("other", "1"), BootTime(100))
    assert election.observe(None, BootTime(104)) is Move.WAIT
    assert election.observe(None, BootTime(118.9)) is Move.WAIT
    assert (
        election.observe(record("other", "2"), BootTime(118.9)) is Move.WAIT
    ), "its holder made it again"
    assert election.observe(None, BootTime(120)) is Move.WAIT
    assert election.observe(None, BootTime(135)) is Move.CREATE


def test_e4_its_holder_makes_a_lease_that_was_deleted_again_at_once() -> None:
    election = Election("me", 15)
    election.written(record("me", "1"), sent_at=BootTime(100))
    assert election.observe(None, BootTime(105)) is Move.CREATE
    assert election.held(BootTime(105))


def test_e4_who_lost_a_lease_waits_when_it_is_deleted() -> None:
    """E4: another may have taken it since, unseen by us."""
    election = Election("me", 15)
    election.written(record("me", "1"), sent_at=BootTime(100))
    assert election.observe(None, BootTime(116)) is Move.WAIT
    assert election.observe(None, BootTime(131)) is Move.CREATE


def test_e14_nobody_waits_for_a_lease_that_was_released_and_then_deleted() -> (
    None
):
    election = Election("me", 15)
    election.observe(record("other", "1"), BootTime(100))
    election.observe(record("", "2"), BootTime(101))
    assert election.observe(None, BootTime(102)) is Move.CREATE


def test_a_process_that_finds_its_own_name_goes_on() -> None:
    assert (
        Election("me", 15).observe(record("me", "7"), BootTime(0))
        is Move.RENEW
    )


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.floats(0.1, 9),
            st.floats(0, 3),
            st.floats(0, 3),
            st.booleans(),
        ),
        max_size=60,
    ),
    deleted=st.integers(2, 60),
)
def test_e1_never_two_holders(
    steps: list[tuple[int, float, float, float, bool]], deleted: int
) -> None:
    """Two candidates act in any order; requests take time both ways, answers may be lost, and somebody deletes it."""
    clocks = (0.0, 5000.0)
    candidates = [Election("a", 15), Election("b", 15)]
    stored: LeaseRecord | None = None
    version, now = 0, 0.0
    know = set[int]()
    for step, (who, pause, there, back, answered) in enumerate(steps):
        now += pause
        if step == deleted and len(know) == 2:
            stored = None  # who never saw it cannot know that it was there
        if stored is not None:
            know.add(who)
        election, clock = candidates[who], clocks[who]
        move = election.observe(stored, BootTime(now + clock))
        if move is not Move.WAIT:
            sent_at, now = BootTime(now + clock), now + there
            version += 1
            stored = record(election.identity, str(version))
            now += back
            if answered:
                know.add(who)
                election.written(stored, sent_at)
        held = [
            one.held(BootTime(now + clocks[number]))
            for number, one in enumerate(candidates)
        ]
        assert sum(held) <= 1


class FakeApi:
    """Holds one Lease as the API server would, with optimistic concurrency."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.down = False
        self.calls: list[str] = []
        self.unanswered = 0
        """Writes that are done and get no answer."""

    async def get_lease(self, namespace: str, name: str) -> dict[str, Any]:
        self.calls.append("get")
        self._check()
        if self.lease is None:
            raise NotFound("no")
        return self.lease

    async def create_lease(
        self, namespace: str, manifest: dict[str, Any]
    ) -> dict[str, Any]:
        self._check()
        if self.lease is not None:
            raise AlreadyExists("yes")
        return self._store(manifest)

    async def replace_lease(
        self, namespace: str, name: str, manifest: dict[str, Any]
    ) -> dict[str, Any]:
        self.calls.append("replace")
        self._check()
        if self.lease is None:
            raise NotFound("no")
        if (
            manifest["metadata"]["resourceVersion"]
            != self.lease["metadata"]["resourceVersion"]
        ):
            raise Conflict("changed")
        answer = self._store(manifest)
        if self.unanswered:
            self.unanswered -= 1
            raise Unavailable("no answer")
        return answer

    def _check(self) -> None:
        if self.down:
            raise Unavailable("down")

    def _store(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        meta = {**manifest["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**manifest, "metadata": meta}
        return self.lease

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])


def lease(
    api: FakeApi,
    identity: str,
    said: list[str] | None = None,
    *,
    release: bool = True,
    duration: float = 1,
) -> Lease:
    said = [] if said is None else said
    return Lease(
        api,  # type: ignore[arg-type]
        "ns",
        "test",
        identity,
        duration=duration,
        renew=0.1,
        gained=lambda: said.append("gained"),
        lost=lambda: said.append("lost"),
        release=release,
    )


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what happens in tasks that tell nobody; bounded."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 10 s")


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_e14_a_lease_is_released_at_the_end_and_the_next_has_it_soon() -> (
    None
):
    api, said = FakeApi(), list[str]()
    first, second = lease(api, "first", said), lease(api, "second")
    one = asyncio.create_task(first.run())
    await asyncio.wait_for(first.wait_held(), 10)
    other = asyncio.create_task(second.run())
    await asyncio.sleep(0.2)
    assert not second.held()
    await stop(other)
    await stop(one)
    assert (said, api.holder) == (["gained", "lost"], "")
    assert not first.held()
    other = asyncio.create_task(second.run())
    await asyncio.wait_for(second.wait_held(), 10)
    await stop(other)


async def held(api: FakeApi) -> asyncio.Task[None]:
    """Have a Lease held; give the task that holds it."""
    mine = lease(api, "me", duration=60)
    task = asyncio.create_task(mine.run())
    await asyncio.wait_for(mine.wait_held(), 10)
    api.calls.clear()
    return task


def shown() -> float | None:
    return REGISTRY.get_sample_value("cerebro_lease_held", {"name": "test"})


async def test_who_waits_for_a_lease_shows_so_and_who_is_done_shows_nothing() -> (
    None
):
    """A Hub's Lease goes with the Hub: nothing is to be left of its name."""
    api = FakeApi()
    first = await held(api)
    assert shown() == 1
    await stop(first)
    assert shown() is None

    api.down = True
    second = asyncio.create_task(lease(api, "me").run())
    await until(lambda: api.calls[-1] == "get")
    assert shown() == 0
    await stop(second)
    assert shown() is None


async def test_e14_a_lease_is_given_back_in_one_call() -> None:
    api = FakeApi()
    await stop(await held(api))
    assert (api.calls, api.holder) == (["replace"], "")


async def test_e14_a_busy_server_is_asked_again_to_take_a_lease_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "cerebro.kube.lease._RELEASE", 60.0
    )  # longer than a slow machine holds us up
    api = FakeApi()
    task = await held(api)
    api.down = True
    ending = asyncio.create_task(stop(task))
    await until(lambda: len(api.calls) > 1)
    api.down = False
    await ending
    assert set(api.calls) == {"replace"}
    assert api.holder == ""


@pytest.mark.parametrize("case", ["renewed", "released", "another's", "gone"])
async def test_e14_a_lease_that_is_not_as_we_left_it_is_read_before_it_is_given_back(
    case: str,
) -> None:
    api = FakeApi()
    task = await held(api)
    calls = ["replace", "get"]
    if case == "gone":
        api.lease, calls = None, ["replace"]
    elif case == "released":
        api.unanswered, calls = 1, ["replace", "replace", "get"]
    else:
        assert api.lease is not None
        holder = "me" if case == "renewed" else "other"
        api._store(
            {
                **api.lease,
                "spec": {**api.lease["spec"], "holderIdentity": holder},
            }
        )
        calls = ["replace", "get", "replace"] if case == "renewed" else calls
    await stop(task)
    assert api.calls == calls
    if case != "gone":
        assert api.holder == ("other" if case == "another's" else "")


@pytest.mark.parametrize("asked", [False, True])
async def test_a_lease_that_a_restart_goes_on_with_is_given_back_when_that_is_asked_for(
    *, asked: bool
) -> None:
    api = FakeApi()
    mine = lease(api, "me", release=False)
    task = asyncio.create_task(mine.run())
    await asyncio.wait_for(mine.wait_held(), 10)
    if asked:
        mine.give_back()
    await stop(task)
    assert api.holder == ("" if asked else "me")
    assert mine.held_until() == BootTime(0)


async def test_e1_a_holder_that_cannot_renew_is_told_that_it_lost_and_gains_again() -> (
    None
):
    api, said = FakeApi(), list[str]()
    mine = lease(api, "me", said)
    task = asyncio.create_task(mine.run())
    await asyncio.wait_for(mine.wait_held(), 10)
    api.down = True
    await until(lambda: said[-1] == "lost")
    assert not mine.held()
    api.down = False
    await asyncio.wait_for(mine.wait_held(), 10)
    assert said == ["gained", "lost", "gained"]
    await stop(task)


async def test_e1_a_holder_that_cannot_renew_still_ends_what_has_passed_until_another_has_it() -> (
    None
):
    api = FakeApi()
    mine, rival = lease(api, "me"), lease(api, "rival")
    assert not mine.ours_until_taken()
    task = asyncio.create_task(mine.run())
    await asyncio.wait_for(mine.wait_held(), 10)
    api.down = True
    await until(lambda: not mine.held())
    assert mine.ours_until_taken()
    assert not rival.ours_until_taken()
    await stop(task)
    api.down = False
    other = asyncio.create_task(rival.run())
    await asyncio.wait_for(rival.wait_held(), 10)
    task = asyncio.create_task(mine.run())
    await until(lambda: not mine.ours_until_taken())
    await stop(task)
    await stop(other)
    assert api.holder == ""
    assert not mine.ours_until_taken()

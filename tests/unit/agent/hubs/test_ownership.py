"""Who carries a Hub, and who of two on one node (rule E4). The Lease is a fake."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.agent.hubs.conflict import conflict
from cerebro.agent.hubs.ownership import gives_back, margin, time_aside
from cerebro.runtime.clock import boottime
from support.hub_node import Leases, a_hub

LEASED, FIXED = a_hub(), a_hub(nodeName="node")


async def test_e4_the_deadline_is_a_time_before_the_end_of_the_lease() -> None:
    """E4: not a span, which a process that is stopped would count from when it goes on."""
    leases = Leases()
    claim = leases.claim(15)
    claim.follow(LEASED, "node")
    assert claim.owns()
    assert claim.deadline() == leases.made[0].until - margin(15)
    leases.made[0].until = boottime() + margin(15) - 0.1
    assert not claim.owns()
    claim.follow(FIXED, "node")
    assert claim.owns()
    assert claim.deadline() is None


async def test_e4_after_an_end_a_hub_is_claimed_again() -> None:
    """E4: the loop of a Hub that failed begins anew, and needs a Lease again."""
    leases = Leases()
    claim = leases.claim()
    claim.follow(LEASED, "node")
    claim.close()
    assert not claim.owns()
    claim.follow(LEASED, "node")
    assert claim.owns()
    assert len(leases.made) == 2


@pytest.mark.parametrize("dropped", [False, True])
async def test_e4_who_stands_aside_takes_no_part_and_gives_back_only_what_is_dropped(
    *, dropped: bool
) -> None:
    leases = Leases()
    claim = leases.claim()
    claim.follow(LEASED, "node")
    await claim.stand_aside(dropped=dropped)
    claim.follow(LEASED, "node")
    assert not claim.owns()
    assert [one.given_back for one in leases.made] == [dropped]


@pytest.mark.parametrize("why", ["its time is over", "the Hub was changed"])
async def test_who_has_stood_aside_takes_part_again(why: str) -> None:
    leases = Leases()
    claim = leases.claim(0 if why == "its time is over" else 15)
    claim.follow(LEASED, "node")
    await claim.stand_aside(dropped=True)
    changed = a_hub()
    changed.metadata.generation = 1 if why == "its time is over" else 2
    claim.follow(changed, "node")
    assert len(leases.made) == 2


def test_the_time_aside_doubles_up_to_a_bound() -> None:
    assert [time_aside(15, before) for before in (0, 1, 2, 3, 50)] == [
        30,
        60,
        120,
        120,
        120,
    ]


@pytest.mark.parametrize(
    "reason",
    [
        "WireGuardNotAvailable",
        "NotPermitted",
        "ListenPortInUse",
        "InterfaceConflict",
        "NetworkConflict",
        "IsolationNotAvailable",
    ],
)
def test_e4_what_lies_with_the_node_gives_the_lease_back_after_three_failures(
    reason: str,
) -> None:
    assert [
        gives_back(LEASED, reason, failures) for failures in (1, 2, 3, 8)
    ] == [False, False, True, True]
    assert not gives_back(FIXED, reason, 8)


@pytest.mark.parametrize(
    "reason", ["SecretNotRead", "WireGuardError", "NoAnswer"]
)
def test_what_would_fail_elsewhere_too_gives_nothing_back(reason: str) -> None:
    assert not gives_back(LEASED, reason, 8)


@pytest.mark.parametrize("paused", ["Changes", "All"])
def test_b8_a_paused_hub_keeps_its_interface(paused: str) -> None:
    assert not gives_back(a_hub(paused=paused), "NotPermitted", 8)


@pytest.mark.parametrize(
    "wanted",
    [{}, {"interface": "wg1"}, {"interface": "wg1", "listenPort": 51821}],
)
def test_e4_a_hub_that_is_carried_goes_before_an_older_one(
    wanted: dict[str, Any],
) -> None:
    older, newer = a_hub("older", age=1, **wanted), a_hub("newer")
    both = [older, newer]
    assert conflict(older, both) is None
    found = conflict(newer, both)
    assert found is not None
    assert "ns/older" in found.message
    carried = {newer.metadata.uid}
    assert conflict(newer, both, carried) is None
    found = conflict(older, both, carried)
    assert found is not None
    assert "ns/newer" in found.message
    carried = {older.metadata.uid, newer.metadata.uid}
    assert conflict(older, both, carried) is None
    assert conflict(newer, both, carried) is not None

"""From any state a router gets equal to its Sessions, over real sockets; also when the connection is cut at any byte
(rules A1, B1 to B4, B5).

CEREBRO_TEST_LONG=1 draws more states, and cuts one exchange at each of its bytes.
"""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cerebro.resources import SessionStatus
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.errors import RouterError
from integration.device.any_state import (
    IPS,
    LATER,
    MACS,
    State,
    Wish,
    marker,
    rows_of_all,
    rows_of_others,
    states,
    wrong_clients,
    wrong_marks,
)
from integration.device.passes import BINDING, LIST, Passes, passes

LONG = os.environ.get("CEREBRO_TEST_LONG") == "1"
STATES = 3000 if LONG else 150
CUTS = 3000 if LONG else 150
MOST_PASSES = 4
CREDENTIALS = [("cerebro", "secret")]

WITHOUT_SHRINKING = [Phase.explicit, Phase.reuse, Phase.generate]
"""A case takes some hundredths of a second: to make it smaller takes minutes.
"""

DIRECTIONS = ("drop_after_bytes", "drop_after_received")
"""The faults that cut what the router says, and what it hears."""

EXCHANGE = State(
    rows=[
        (BINDING, {"mac-address": MACS[0], "comment": marker(MACS[0], 1)}),
        (BINDING, {"mac-address": MACS[1], "type": "bypassed"}),
        (LIST, {"list": "paid_clients", "address": IPS[4], "comment": "x"}),
    ],
    clients={MACS[0]: IPS[0], MACS[2]: IPS[2], MACS[3]: IPS[3]},
    wishes=[
        Wish(MACS[2], IPS[2], LATER, ends=False),
        Wish(None, IPS[3], None, ends=False),
        Wish(MACS[0], IPS[0], LATER, ends=True),
    ],
)
"""Rows are added and removed, a client is let in and another is shut out."""


async def converge(over: Passes, state: State) -> None:
    """Pass until a pass changes nothing, and check that all is as it should
    be; where the router refuses a row, because of one made by hand, only that
    nothing changes any more.
    """
    told: dict[str, SessionStatus] = {}
    before = None

    for _ in range(MOST_PASSES):
        outcome, news = await over.over(*state.sessions(told))
        told |= news
        after = rows_of_all(over.router)
        if after == before:
            break

        before, writes = after, over.router.counters["writes"]
    else:
        pytest.fail(f"not equal: {list(outcome.plan.commands())}")

    assert outcome.settled or outcome.refused

    if outcome.settled:
        assert over.router.counters["writes"] == writes
        assert wrong_marks(over.router, state) == []
        assert wrong_clients(over.router, state) == []


async def check_any_state(state: State) -> None:
    async with passes() as over:
        state.put_on(over.router)
        others = rows_of_others(over.router)
        await converge(over, state)
        assert rows_of_others(over.router) == others


async def check_cut(state: State, direction: str, at: int) -> int:
    """Cut the exchange of a pass at a byte, and go on as the loop does. Return
    how many bytes of the exchange were left.
    """
    async with passes() as over:
        state.put_on(over.router)
        others = rows_of_others(over.router)
        setattr(over.router.faults, direction, at)

        try:
            await over.over(*state.sessions({}))
        except RouterError:
            await over.session.close()
            over.session = await connect(
                "127.0.0.1", over.router.port, CREDENTIALS
            )

        left_over = getattr(over.router.faults, direction)
        setattr(over.router.faults, direction, None)
        assert rows_of_others(over.router) == others
        await converge(over, state)
        assert rows_of_others(over.router) == others

    return left_over or 0


@settings(max_examples=STATES, phases=WITHOUT_SHRINKING)
@given(states())
def test_any_state_becomes_equal_and_no_row_of_others_changes(
    state: State,
) -> None:
    asyncio.run(check_any_state(state))


@settings(max_examples=CUTS, phases=WITHOUT_SHRINKING)
@given(states(), st.sampled_from(DIRECTIONS), st.integers(0, 6000))
def test_after_a_cut_at_any_byte_the_next_passes_converge(
    state: State, direction: str, at: int
) -> None:
    asyncio.run(check_cut(state, direction, at))


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_one_exchange_is_cut_at_its_bytes(direction: str) -> None:
    """At each byte in the long form, else at every 61st."""
    most = 1_000_000
    size = most - await check_cut(EXCHANGE, direction, most)
    assert size > 500
    cuts = range(0, size, 1 if LONG else 61)
    for at in cuts:
        await check_cut(EXCHANGE, direction, at)
    print(f"{direction}: {len(cuts)} cuts of {size} bytes")

"""E18: whose turn it is on a node."""

from __future__ import annotations

import asyncio

from cerebro.agent.turn import Turn

SERVER = "https://unit.test"


def turn(namespace: str = "cerebro", node: str = "node-1") -> Turn:
    return Turn(SERVER, namespace, node)


async def test_e18_the_next_has_its_turn_when_the_first_gives_it_up() -> None:
    never = asyncio.Event()
    first, second = turn(), turn()
    assert await first.take(never)

    waiting = asyncio.create_task(second.take(never))
    await asyncio.sleep(0.1)
    assert not waiting.done()

    first.close()
    assert await waiting
    second.close()


async def test_e14_one_that_is_stopped_while_it_waits_has_no_turn() -> None:
    stop = asyncio.Event()
    first, second = turn(), turn()
    assert await first.take(stop)

    waiting = asyncio.create_task(second.take(stop))
    await asyncio.sleep(0)
    stop.set()

    assert not await waiting
    second.close()
    assert not await turn().take(stop)
    first.close()


async def test_e18_agents_that_share_no_lease_have_turns_of_their_own() -> (
    None
):
    never = asyncio.Event()
    turns = [
        turn(),
        turn(namespace="other"),
        turn(node="node-2"),
        Turn("https://other.test", "cerebro", "node-1"),
    ]
    for each in turns:
        assert await each.take(never)

    for each in turns:
        each.close()

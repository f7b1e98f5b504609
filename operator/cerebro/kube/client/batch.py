"""Many calls to the API server, a few at a time. It knows nothing of what they
do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from cerebro.kube.client.errors import Unavailable

_Item = TypeVar("_Item")

AT_ONCE = 8
"""Calls that are on their way at once."""


async def each(
    items: Iterable[_Item], call: Callable[[_Item], Awaitable[bool]]
) -> int:
    """Call for every item, AT_ONCE at a time, and return how many calls
    returned True.

    A call that fails does not stop the others, but for an API server that
    cannot be reached: then none of them can succeed. The first failure is
    raised at the end, one of an unreachable API server before all others.
    """

    waiting = iter(items)
    failures: list[Exception] = []

    async def work() -> int:
        done = 0
        for item in waiting:
            try:
                done += await call(item)
            except Unavailable as error:
                failures.insert(0, error)
                return done
            except Exception as error:  # noqa: BLE001 - raised below, after the others had their turn
                failures.append(error)

        return done

    workers = [work() for _ in range(AT_ONCE)]
    done = sum(await asyncio.gather(*workers))

    if failures:
        raise failures[0]

    return done

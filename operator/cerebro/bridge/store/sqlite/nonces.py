"""The table of nonces: `use_nonce` and `use_nonces` are steps of a transaction."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from functools import partial

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.base import MAX_NONCES
from cerebro.bridge.store.sqlite.engine import Engine
from cerebro.bridge.store.sqlite.schema import rows_of

_FORGOTTEN_AT_ONCE = 1000

_KNOWN = (
    "SELECT 1 FROM nonces"
    " WHERE nonce IN (SELECT value ->> 0 FROM json_each(?)) LIMIT 1"
)
_INSERT = (
    "INSERT INTO nonces SELECT value ->> 0, (value ->> 1) + ?"
    " FROM json_each(?)"
)
"""Each has its nonces as one JSON array of `[nonce, time of its use]`."""

Use = tuple[str, int, "asyncio.Future[bool]"]
"""A nonce, the time of its use, and who waits for the answer."""


class NonceBatches:
    """Hands in the nonces of all requests that came in one turn of the event
    loop as one step: a step costs more than a nonce.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

        # What is collected, by how long it is remembered and is valid.
        self._uses: dict[tuple[int, int], list[Use]] = {}

    async def use(
        self, nonce: str, now: int, memory: int, valid_for: int
    ) -> bool:
        """Remember a nonce; return whether it was new."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        key = (memory, valid_for)
        batch = self._uses.setdefault(key, [])
        batch.append((nonce, now, future))

        if len(batch) == 1:
            loop.call_soon(self._hand_in, key)

        return await future

    def _hand_in(self, key: tuple[int, int]) -> None:
        task = asyncio.create_task(self._carry_out(self._uses.pop(key), *key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(
        self, uses: list[Use], memory: int, valid_for: int
    ) -> None:
        """Use nonces, and tell each caller what came of its own."""
        taken = [(nonce, now) for nonce, now, _ in uses]
        work = partial(
            use_nonces, uses=taken, memory=memory, valid_for=valid_for
        )
        try:
            results = await self._engine.run(work)
        except ApiError as error:
            for _, _, future in uses:
                if not future.done():
                    future.set_exception(error)

            return

        for (_, _, future), result in zip(uses, results, strict=True):
            if future.done():
                continue

            if isinstance(result, ApiError):
                future.set_exception(result)
            else:
                future.set_result(result)


def use_nonce(
    db: sqlite3.Connection, nonce: str, now: int, memory: int, valid_for: int
) -> bool:
    """Remember a nonce for `memory` milliseconds; return whether it was new.

    At MAX_NONCES those are forgotten whose request is valid no more, for it is
    older than `valid_for` milliseconds. Raises ApiError 503 if there is none.
    """
    if rows_of(db, "nonces") >= MAX_NONCES:
        forgotten = db.execute(
            "DELETE FROM nonces WHERE nonce IN"
            " (SELECT nonce FROM nonces WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
            (now + memory - valid_for, _FORGOTTEN_AT_ONCE),
        )
        if not forgotten.rowcount:
            raise ApiError(
                503,
                "store_unavailable",
                "too many nonces are remembered: try again in a minute",
            )

    cursor = db.execute(
        "INSERT INTO nonces VALUES (?, ?) ON CONFLICT (nonce) DO UPDATE SET expires_at = excluded.expires_at"
        " WHERE nonces.expires_at <= ?",
        (nonce, now + memory, now),
    )

    return cursor.rowcount == 1


def use_nonces(
    db: sqlite3.Connection,
    uses: Sequence[tuple[str, int]],
    memory: int,
    valid_for: int,
) -> list[bool | ApiError]:
    """Use nonces one after the other, each at its time; return for each what
    `use_nonce` returned or raised.
    """
    if _use_all_new(db, uses, memory):
        return [True] * len(uses)

    results: list[bool | ApiError] = []
    for nonce, now in uses:
        try:
            results.append(use_nonce(db, nonce, now, memory, valid_for))
        except ApiError as error:
            results.append(error)

    return results


def _use_all_new(
    db: sqlite3.Connection, uses: Sequence[tuple[str, int]], memory: int
) -> bool:
    """Use nonces all at once if each is surely new and there is room; return
    whether they are used.

    After each statement the event loop may have the interpreter's lock, so a
    statement for all costs little more than that for one.
    """
    distinct = {nonce for nonce, _ in uses}
    if len(distinct) < len(uses):
        return False

    if rows_of(db, "nonces") + len(uses) > MAX_NONCES:
        return False

    array = json.dumps(uses)
    if db.execute(_KNOWN, (array,)).fetchone() is not None:
        return False

    db.execute(_INSERT, (memory, array))

    return True

"""Accesses and records that wait, on Redis."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.access import (
    MAX_RECORDS,
    AccessChange,
    WaitingRecord,
)
from cerebro.bridge.store.redis.access_scripts import (
    FORGET_ACCESSES,
    KEEP_ACCESSES,
    RECORDS_WRITTEN,
)
from cerebro.bridge.store.redis.engine import Engine, Word

_AT_ONCE = 500
"""States, or records, that are read or forgotten at once."""


async def keep(
    engine: Engine, changes: Sequence[AccessChange], now: int
) -> list[bool]:
    """Take the changes whose state is still that from which they were decided;
    return of each whether it was taken.

    Raises ApiError 503 `records_full`: then none was taken.
    """
    if not changes:
        return []

    arguments: list[Word] = []
    more = 0
    for change in changes:
        arguments += (change.uid, change.before, change.after)
        arguments += (int(change.is_open), len(change.records))
        arguments += change.records
        more += len(change.records)

    answers = await engine.run(
        KEEP_ACCESSES, now, MAX_RECORDS, more, *arguments
    )
    if answers is None:
        raise ApiError(
            503,
            "records_full",
            f"{MAX_RECORDS} records of access wait to be written: see where CEREBRO_RECORDS sends them",
        )

    return [bool(answer) for answer in answers]


async def states_of(engine: Engine, uids: Collection[str]) -> dict[str, str]:
    """Return the states of those Sessions of which there is one, by UID."""
    names = list(uids)
    states: dict[str, str] = {}

    for start in range(0, len(names), _AT_ONCE):
        chunk = names[start : start + _AT_ONCE]
        (values,) = await engine.read(("HMGET", "access", *chunk))
        pairs = zip(chunk, values, strict=True)
        states |= {uid: value for uid, value in pairs if value is not None}

    return states


async def open_states(engine: Engine) -> dict[str, str]:
    """Return the states of all Sessions whose client has access, by UID."""
    (uids,) = await engine.read(("ZRANGE", "access_open", 0, -1))

    return await states_of(engine, uids)


async def waiting(engine: Engine, limit: int) -> list[WaitingRecord]:
    """Return the oldest records that are not written."""
    (numbers,) = await engine.read(("ZRANGE", "records", 0, limit - 1))
    if not numbers:
        return []

    (bodies,) = await engine.read(("HMGET", "record", *numbers))

    return [
        WaitingRecord(int(number), body)
        for number, body in zip(numbers, bodies, strict=True)
        if body is not None
    ]


async def written(engine: Engine, seqs: Sequence[int]) -> None:
    """Forget records that were written."""
    for start in range(0, len(seqs), _AT_ONCE):
        await engine.run(RECORDS_WRITTEN, *seqs[start : start + _AT_ONCE])


async def count(engine: Engine) -> int:
    """Return how many records are not written."""
    (answer,) = await engine.read(("ZCARD", "records"))

    return int(answer)


async def swept_at(engine: Engine) -> int:
    """Return when the last sweep began, 0 if there was none."""
    (value,) = await engine.read(("GET", "swept_at"))

    return int(value or 0)


async def note_sweep(engine: Engine, at: int, ended_before: int) -> None:
    """Note when a sweep began, and forget what ended long before it."""
    await engine.write(("SET", "swept_at", at))
    forgotten = _AT_ONCE
    while forgotten >= _AT_ONCE:
        forgotten = await engine.run(FORGET_ACCESSES, ended_before, _AT_ONCE)

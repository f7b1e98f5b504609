"""The rows of tables on Redis, as commands of a transaction that need no look:
see `scripts` for what a row and an index are.
"""

from __future__ import annotations

from cerebro.bridge.store.redis.engine import ENCODING_ERRORS, Command


def keep_row(
    index: str, score: int, group: str, field: str, value: str
) -> tuple[Command, ...]:
    """Return the commands that write a row."""
    return (
        ("HSET", group, field, value),
        ("ZADD", index, score, _member(group, field)),
    )


def forget_row(index: str, group: str, field: str) -> tuple[Command, ...]:
    """Return the commands that remove a row."""
    return (
        ("HDEL", group, field),
        ("ZREM", index, _member(group, field)),
    )


def fields_of(flat: list[str]) -> dict[str, str]:
    """Return a hash as HGETALL answers it: name, value, name, value."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _member(group: str, field: str) -> str:
    """Return a row's member of its index, as `member_of` in `scripts` does."""
    length = len(group.encode(errors=ENCODING_ERRORS))

    return f"{length}:{group}{field}"

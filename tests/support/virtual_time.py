"""An event loop whose clock jumps: what would take minutes runs in milliseconds, and always the same way."""

from __future__ import annotations

import asyncio
import random
import selectors
import sys
import time
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest

EPOCH = datetime(2026, 6, 1, tzinfo=UTC)
"""The wall clock's time at the second 0.0 of the virtual clock."""


class _JumpingSelector(selectors.DefaultSelector):
    """Waits by moving the clock; sockets are only looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Move the clock as far as the loop would have waited."""
        if timeout is None:
            raise AssertionError("nothing would ever happen any more")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that never waits."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the seconds that passed by the virtual clock."""
        return self._jumping.now


def patch_clocks(
    monkeypatch: pytest.MonkeyPatch, loop: VirtualLoop, package: str
) -> None:
    """Let the monotonic clock, the modules of `package` that know the wall clock, and jitter follow `loop`."""

    class VirtualDatetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return (EPOCH + timedelta(seconds=loop.time())).astimezone(tz)

    monkeypatch.setattr(time, "monotonic", loop.time)
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
    for name, module in list(sys.modules.items()):
        if (
            name.startswith(package)
            and getattr(module, "datetime", None) is datetime
        ):
            monkeypatch.setattr(module, "datetime", VirtualDatetime)

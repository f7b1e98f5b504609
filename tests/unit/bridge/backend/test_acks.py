"""The outbox: what is due when, and how long an ACK is tried (F3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from cerebro.bridge.backend import acks as module
from cerebro.bridge.backend.acks import CEILING, AckSender, delay
from cerebro.bridge.backend.client import AckError
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.store.events import Ack
from support.virtual_time import VirtualLoop, patch_clocks


def test_f3_quick_tries_first_and_then_ever_more_rarely() -> None:
    waits = [delay(tries, 2, 500, 0.0) for tries in range(1, 10)]
    assert waits == [
        500,
        500,
        1_000,
        2_000,
        4_000,
        8_000,
        16_000,
        CEILING,
        CEILING,
    ]
    assert delay(10_000, 2, 500, 1.0) == CEILING // 2, "and that for ever"


class Outbox:
    """The part of the store that the sender uses, in memory."""

    def __init__(self, loop: VirtualLoop, count: int) -> None:
        self._loop = loop
        self.rows = {
            seq: (Ack(seq, f"e-{seq}", f"body-{seq}", 0), 0)
            for seq in range(count)
        }

    @property
    def now(self) -> int:
        return round(self._loop.time() * 1000)

    async def due_acks(self, now: int, limit: int) -> list[Ack]:
        due = [
            (due_at, ack)
            for ack, due_at in self.rows.values()
            if due_at <= now
        ]
        due.sort(key=lambda row: (row[0], row[1].seq))
        return [ack for _, ack in due][:limit]

    async def acks_waiting(self) -> int:
        return len(self.rows)

    def ack_taken_soon(self, ack: Ack) -> None:
        del self.rows[ack.seq]

    def ack_failed_soon(self, ack: Ack, due_at: int) -> None:
        again = Ack(ack.seq, ack.event_id, ack.body, ack.tries + 1)
        self.rows[ack.seq] = (again, due_at)


class Backend:
    """Takes ACKs, unless `trouble` has an error for one."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.trouble: Callable[[str], AckError | None] = lambda _: None
        self.tried: list[tuple[float, str]] = []
        self.took: list[str] = []

    async def send(self, body: str) -> None:
        await asyncio.sleep(0.001)
        self.tried.append((self._loop.time(), body))
        error = self.trouble(body)
        if error is not None:
            raise error
        self.took.append(body)


def play(
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    trouble: Callable[[float, str], AckError | None],
    seconds: float,
) -> tuple[Outbox, Backend]:
    """Let the sender work for some seconds of a virtual clock."""
    loop = VirtualLoop()
    patch_clocks(monkeypatch, loop, "cerebro.bridge")
    outbox, backend = Outbox(loop, count), Backend(loop)
    monkeypatch.setattr(module, "now_ms", lambda: outbox.now)
    backend.trouble = lambda body: trouble(loop.time(), body)
    metrics = Metrics()
    sender = AckSender(outbox, metrics, retries=2, quick=500)  # type: ignore[arg-type]

    async def work() -> None:
        task = asyncio.create_task(sender.run(backend, lambda: True))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    loop.run_until_complete(work())
    loop.close()
    labels = '{service="relay-cerebro"}'
    waiting = f"relay_acks_waiting{labels} {len(outbox.rows)}.0"
    assert waiting in metrics.text(None)
    return outbox, backend


def test_f3_what_is_due_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, backend = play(monkeypatch, 200, lambda *_: None, 5)
    assert outbox.rows == {}
    assert sorted(backend.took) == sorted(f"body-{seq}" for seq in range(200))


def test_f3_one_ack_that_is_refused_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outbox, backend = play(
        monkeypatch,
        200,
        lambda _, body: (
            AckError("404", away=False) if body == "body-0" else None
        ),
        120,
    )
    assert list(outbox.rows) == [0]
    assert len(backend.took) == 199
    tries = [moment for moment, body in backend.tried if body == "body-0"]
    assert 8 <= len(tries) <= 20, "it goes on being tried, more rarely"


def test_f3_nothing_waits_60_s_after_the_backend_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    away = 3600.0
    outbox, backend = play(
        monkeypatch,
        500,
        lambda now, _: AckError("500", away=True) if now < away else None,
        away + 60,
    )
    assert outbox.rows == {}
    while_away = [moment for moment, _ in backend.tried if moment < away]
    assert len(while_away) < 4_000, "who is away is probed, not flooded"

"""Audit lines: their fields, their order, and what becomes of them when nothing can be written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cerebro.bridge.audit import log
from cerebro.bridge.audit.log import ATTEMPT, FAIL, AuditLog
from cerebro.bridge.intents import Client

PHONE = Client(mac="AA:BB:CC:DD:EE:FF", ip="10.5.50.10")


class Sink:
    """Keeps what it is given; `broken` is what it raises instead."""

    def __init__(self) -> None:
        self.text = ""
        self.broken: OSError | None = None

    def append(self, lines: bytes) -> None:
        if self.broken is not None:
            raise self.broken
        self.text += lines.decode()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


async def test_a_line_has_type_and_event_type_apart() -> None:
    """Defect 65 of the old relay: there the event's type took the place of the record's."""
    sink = Sink()
    audit = AuditLog(sink)
    audit.tell(
        FAIL,
        "REVOKE_SESSION",
        source="events",
        trace_id="t-1",
        client=PHONE,
        payload={"password": "x", "pedidoId": "P-1"},
        error="login failed: password=geheim",
        eventId="e-1",
        eventType="REVOKE_REQUESTED",
        order=None,
    )
    await audit.close()
    (line,) = sink.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "type": "RELAY_ACTION_FAIL",
        "action": "REVOKE_SESSION",
        "source": "events",
        "traceId": "t-1",
        "mac": "AA:BB:CC:DD:EE:FF",
        "ip": "10.5.50.10",
        "eventId": "e-1",
        "eventType": "REVOKE_REQUESTED",
        "error": "login failed: password=***",
        "payload": {"password": "***", "pedidoId": "P-1"},
    }


async def test_lines_wait_while_they_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log, "MAX_WAITING", 3)
    sink = Sink()
    sink.broken = OSError(28, "No space left on device")
    audit = AuditLog(sink)
    for number in range(5):
        audit.tell(ATTEMPT, str(number), source="http")
        await audit._write()
    assert audit.dropped == 2
    sink.broken = None
    await audit.close()
    assert [line["action"] for line in sink.lines] == ["0", "1", "2"]


async def test_a_log_that_is_off_tells_nothing() -> None:
    audit = AuditLog(None)
    audit.tell(ATTEMPT, "A", source="http")
    assert not audit.on
    assert not audit._lines
    await audit.close()

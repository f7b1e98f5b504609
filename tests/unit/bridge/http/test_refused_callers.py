"""Refused callers are told to the audit log, and a flood of them is counted."""

from __future__ import annotations

from typing import Any

from cerebro.bridge.audit.log import AuditLog
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.refused_callers import BURST, RefusalAudit


class Told(AuditLog):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(None)
        self.lines: list[dict[str, Any]] = []

    def tell(self, *words: Any, **details: Any) -> None:
        self.lines.append(details)


def refuse(refusals: RefusalAudit, now: float, status: int = 401) -> None:
    refusals.tell(
        ApiError(status, "unauthorized", "no token"),
        caller="10.0.0.1",
        method="POST",
        path="/relay/revoke",
        trace_id="t",
        now=now,
    )


def test_a_flood_is_counted_and_not_written_down() -> None:
    audit = Told()
    refusals = RefusalAudit(audit)
    for _ in range(10_000):
        refuse(refusals, 1000.0)
    assert len(audit.lines) == BURST
    refuse(refusals, 1001.0)
    refuse(refusals, 1001.0)
    assert len(audit.lines) == BURST + 1
    assert audit.lines[-1]["suppressed"] == 10_000 - BURST
    refuse(refusals, 1002.0)
    assert audit.lines[-1]["suppressed"] == 1


def test_what_is_wrong_with_the_request_is_no_refused_caller() -> None:
    audit = Told()
    refusals = RefusalAudit(audit)
    for status in (400, 404, 408, 413, 503):
        refuse(refusals, 1.0, status)
    assert audit.lines == []
    for status in (401, 403, 429):
        refuse(refusals, 1.0, status)
    assert len(audit.lines) == 3

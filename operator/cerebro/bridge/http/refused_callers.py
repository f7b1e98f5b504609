"""Tells the audit log of callers that were refused, as often as it can bear: a
flood of them is counted, and not written down one by one.
"""

from __future__ import annotations

from cerebro.bridge.audit.log import FAIL, AuditLog
from cerebro.bridge.errors import ApiError

BURST = 60
"""Refusals that are told at once."""
PER_SECOND = 1.0
"""Refusals that are told each second, after those."""

_REFUSALS = frozenset({401, 403, 429})
"""Statuses that refuse the caller, and not what it asks for."""


class RefusalAudit:
    """Bounds the lines about refused callers."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._tokens = float(BURST)
        self._refilled_at = 0.0
        self._suppressed = 0

    def tell(
        self,
        error: ApiError,
        *,
        caller: str,
        method: str,
        path: str,
        trace_id: str,
        now: float,
    ) -> None:
        """Tell of an error by which the gate refused a request, if it refused
        the caller.

        `now` is in seconds of the monotonic clock. A line names how many were
        left out before it.
        """
        if error.status not in _REFUSALS:
            return

        gained = (now - self._refilled_at) * PER_SECOND
        self._tokens = min(float(BURST), self._tokens + max(0.0, gained))
        self._refilled_at = now

        if self._tokens < 1:
            self._suppressed += 1
            return

        self._tokens -= 1
        self._audit.tell(
            FAIL,
            "AUTHENTICATE",
            source="http",
            trace_id=trace_id,
            error=error.text,
            code=error.code,
            status=error.status,
            caller=caller,
            method=method,
            path=path,
            suppressed=self._suppressed or None,
        )
        self._suppressed = 0

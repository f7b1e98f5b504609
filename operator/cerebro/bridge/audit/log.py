"""Writes audit lines: a line for each decision, gathered and written by a
thread, so that no request waits for a disk.

What was told is written within WRITE_EVERY seconds, and at the end of the
process; a process that is killed may lose the lines of that time. While they
cannot be written, up to MAX_WAITING lines wait, and what comes beyond that is
counted.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol

import structlog

from cerebro.bridge.audit.line_file import LineFile
from cerebro.bridge.audit.redaction import cut, redacted
from cerebro.bridge.audit_settings import AuditSettings
from cerebro.bridge.compact_json import compact_json
from cerebro.bridge.intents import Client
from cerebro.runtime.clock import now_ms

WRITE_EVERY = 0.2
"""Seconds between two writes."""
MAX_WAITING = 50_000
"""Lines that wait to be written; no further one is taken."""

ATTEMPT = "RELAY_ACTION_ATTEMPT"
SUCCESS = "RELAY_ACTION_SUCCESS"
FAIL = "RELAY_ACTION_FAIL"
"""The types of the old relay's audit lines. That of an event stands in
`eventType`.
"""

log = structlog.get_logger(__name__)


class LineSink(Protocol):
    """Where lines go."""

    def append(self, lines: bytes) -> None:
        """Append whole lines. May block. Raises OSError."""
        ...


class StandardOutput:
    """The standard output, for lines of any kind."""

    def append(self, lines: bytes) -> None:
        """Write lines, and hand them to whoever reads."""
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()


class AuditLog:
    """Takes audit lines, and writes them in their order."""

    def __init__(self, sink: LineSink | None) -> None:
        """Without a sink nothing is told."""
        self._sink = sink
        self._lines: deque[bytes] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")
        self._failing = False
        self._writing: asyncio.Task[None] | None = None
        self.dropped = 0
        """Lines that found no room."""
        self.on_dropped: Callable[[], object] = lambda: None
        """Is called for each of them."""

    @classmethod
    def of(cls, settings: AuditSettings) -> AuditLog:
        """Return the log that the settings name."""
        if settings.audit == "off":
            return cls(None)

        if settings.audit == "stdout":
            return cls(StandardOutput())

        return cls(
            LineFile(
                settings.audit_file,
                max_bytes=settings.audit_file_bytes,
                former=settings.audit_files,
            )
        )

    @property
    def on(self) -> bool:
        """Whether anything is told at all."""
        return self._sink is not None

    def tell(
        self,
        kind: str,
        action: str,
        *,
        source: str,
        trace_id: str = "",
        client: Client | None = None,
        payload: Mapping[str, Any] | None = None,
        error: str | None = None,
        **details: Any,
    ) -> None:
        """Take a line, which goes without its secrets.

        `kind` is ATTEMPT, SUCCESS or FAIL, `error` a text for people. Details
        that are None are left out; none of them may be secret.
        """
        if self._sink is None:
            return

        if len(self._lines) >= MAX_WAITING:
            self.dropped += 1
            self.on_dropped()
            return

        line: dict[str, Any] = {
            "timestamp": _now_text(),
            "type": kind,
            "action": action,
            "source": source,
        }

        if trace_id:
            line["traceId"] = trace_id

        if client:
            line["mac"] = client.mac
            line["ip"] = client.ip

        line |= {
            name: cut(value) if isinstance(value, str) else value
            for name, value in details.items()
            if value is not None
        }

        if error is not None:
            line["error"] = cut(error)

        if payload:
            line["payload"] = redacted(payload)

        self._lines.append(compact_json(line))

    async def run(self) -> None:
        """Write what comes until cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY)

            # A thread that writes cannot be cancelled: `close` waits for it.
            self._writing = asyncio.create_task(self._write())
            await asyncio.shield(self._writing)

    async def close(self) -> None:
        """Write what is left."""
        if self._writing is not None:
            await self._writing

        await self._write()
        self._thread.shutdown(wait=False)

    async def _write(self) -> None:
        """Write all that waits; it goes on waiting if that fails."""
        count = len(self._lines)
        if self._sink is None or not count:
            return

        # Lines that come meanwhile are appended behind these.
        batch = b"".join(line + b"\n" for line in islice(self._lines, count))
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(
                self._thread,
                self._sink.append,
                batch,
            )
        except (OSError, ValueError) as error:
            if not self._failing:
                log.warning(
                    "audit lines cannot be written, and wait",
                    error=str(error),
                )

            self._failing = True
            return

        for _ in range(count):
            self._lines.popleft()

        if self._failing:
            log.info("audit lines can be written", dropped=self.dropped)

        self._failing = False


def _now_text() -> str:
    seconds, milliseconds = divmod(now_ms(), 1000)

    return f"{_whole_second(seconds)}.{milliseconds:03}Z"


@lru_cache(maxsize=1)
def _whole_second(seconds: int) -> str:
    """Return a time in UTC, in which many lines are told, without its zone."""
    moment = datetime.fromtimestamp(seconds, UTC)

    return moment.replace(tzinfo=None).isoformat()

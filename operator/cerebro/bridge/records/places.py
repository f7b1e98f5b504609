"""Where records of access are written: what every place promises, and those
that take lines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from cerebro.bridge.audit.line_file import LineFile
from cerebro.bridge.audit.log import LineSink, StandardOutput
from cerebro.runtime.threads import in_thread

_TAIL = 2 * 1024 * 1024
"""Bytes at the end of a file in which records are looked for that were written
before: more than a batch has.
"""


class PlaceError(Exception):
    """Records cannot be written now. The text says why, without a password."""


class RecordPlace(Protocol):
    """Where records go."""

    async def write(self, records: Sequence[str]) -> None:
        """Write records for good; what was written already may come again.

        Raises PlaceError: then it is not known which of them are written.
        """
        ...

    async def forget(self) -> None:
        """Delete what is older than it may be, if that is up to us. Raises
        PlaceError.
        """
        ...

    async def close(self) -> None:
        """Let go of what is open."""
        ...


class LinePlace:
    """Standard output or a file: a JSON object a line.

    A thread writes, so that the event loop waits for no disk and no reader.
    """

    def __init__(self, sink: LineSink, former: LineFile | None = None) -> None:
        """`former` is the file in which records may be already; standard
        output cannot be read back.
        """
        self._sink = sink
        self._former = former
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._sure = True

    @classmethod
    def standard_output(cls) -> LinePlace:
        """Return the standard output."""
        return cls(StandardOutput())

    @classmethod
    def file(cls, path: Path) -> LinePlace:
        """Return a file, which survives a power failure."""
        file = LineFile(path, durable=True)
        place = cls(file, file)
        place._sure = False

        return place

    async def write(self, records: Sequence[str]) -> None:
        """Write records, but for those that stand at the end of the file
        already: whoever wrote them died before the store knew.
        """
        try:
            await in_thread(lambda: self._write(records), self._thread)
        except (OSError, ValueError, TimeoutError) as error:
            self._sure = self._former is None
            raise PlaceError(str(error) or "no answer in time") from None

        self._sure = True

    async def forget(self) -> None:
        """Keep all: who rotates the files knows for how long."""

    async def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False)

    def _write(self, records: Sequence[str]) -> None:
        written: set[tuple[str, str]] = set()
        if not self._sure and self._former is not None:
            written = {
                name
                for line in self._former.tail(_TAIL)
                if (name := _name_of(line)) is not None
            }

        new = [record for record in records if _name_of(record) not in written]
        if new:
            text = "".join(f"{record}\n" for record in new)
            self._sink.append(text.encode("utf-8", "replace"))


def _name_of(line: str | bytes) -> tuple[str, str] | None:
    """Return what tells a record from all others; None if a line is none."""
    try:
        record = json.loads(line)
        return record["id"], record["kind"]
    except (ValueError, KeyError, TypeError):
        return None

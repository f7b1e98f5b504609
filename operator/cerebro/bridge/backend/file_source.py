"""A local file as source of events, as the old relay had it, without its loss.

Who writes the file writes a JSON array and finds it empty after it was read.
What is in it is set aside by a rename, and goes only when it was taken for
good: a crash in between loses nothing, and an event that is read twice is taken
once.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from cerebro.bridge.backend.client import MAX_FEED, FeedError, parse_feed

log = structlog.get_logger(__name__)


class FileSource:
    """The events of one file.

    Only the bridge that holds the Lease reads it, so it needs no lock.
    """

    def __init__(self, path: Path) -> None:
        """`path` is the file that others write; what is set aside lies beside
        it.
        """
        self._path = path
        self._aside = path.with_name(f"{path.name}.taken")

    async def fetch(self) -> list[Any]:
        """Return the events of the file; they stay until `confirm`.

        Raises FeedError. A file that is no JSON array is looked at anew: it
        may be half written.
        """
        try:
            body = await asyncio.to_thread(self._read)
        except OSError as error:
            raise _trouble(self._path, error) from None

        if not body.strip():
            return []

        try:
            return await parse_feed(body)
        except FeedError:
            await asyncio.to_thread(self._put_away)
            raise

    async def confirm(self) -> None:
        """Forget what `fetch` returned: all of it was taken.

        Raises FeedError.
        """
        try:
            await asyncio.to_thread(self._aside.unlink, missing_ok=True)
        except OSError as error:
            raise _trouble(self._aside, error) from None

    def _read(self) -> bytes:
        """Return what is aside, and set the file aside first if nothing is."""
        if not self._aside.exists():
            content = self._content(self._path)

            if content.strip() in (b"", b"[]"):
                return b""

            # Half of a file is left to who writes it: it is whole at the next
            # look.
            if not _is_array(content):
                raise OSError(0, "it is no JSON array, or half of one")

            # A writer that has the old content open adds to it all the same.
            self._path.replace(self._aside)
            self._make_empty()

        # Also what a process before set aside, and did not get to take.
        return self._content(self._aside)

    def _make_empty(self) -> None:
        """Make the file with no events in it, unless its writer did by now.

        Who wrote for the old relay finds the file that it left behind.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL

        with suppress(FileExistsError):
            descriptor = os.open(self._path, flags, 0o660)

            try:
                os.write(descriptor, b"[]")
            finally:
                os.close(descriptor)

    def _put_away(self) -> None:
        """Keep under another name what was written to while it was set aside,
        and can be read by nobody.
        """
        kept = self._aside.with_name(f"{self._path.name}.unreadable")

        with suppress(OSError):
            self._aside.replace(kept)

            log.error(
                "events that cannot be read are kept: correct the file and put it back",
                file=str(kept),
            )

    def _content(self, path: Path) -> bytes:
        """Return what is in a file, nothing if there is no such file. Raises
        OSError.
        """
        with suppress(FileNotFoundError):
            if path.stat().st_size > MAX_FEED:
                raise OSError(0, f"it has more than {MAX_FEED} bytes")

            return path.read_bytes()

        return b""


def _is_array(content: bytes) -> bool:
    """Return whether a file's content is a whole JSON array."""
    try:
        return isinstance(json.loads(content), list)
    except (ValueError, RecursionError):
        return False


def _trouble(path: Path, error: OSError) -> FeedError:
    return FeedError(
        "consumer.http_fetch_error", f"{path}: {error.strerror or error}"
    )

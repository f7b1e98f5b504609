"""One SQLite file and the thread that writes it: each of its transactions
carries all that is waiting (group commit).

With WAL and synchronous=NORMAL, what was committed survives the death of the
process, and a power failure once `sync` was awaited. Two bridges may share a
file (E15). The engine knows no table: what is kept is in the files beside it.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.base import StoreVersionError
from cerebro.bridge.store.sqlite.schema import bring_up_to_date

log = structlog.get_logger(__name__)

_T = TypeVar("_T")

BUSY_TIMEOUT = 2.0
"""Seconds that a transaction waits for another process's transaction."""
LATER = 0.01
"""Seconds that work which nobody waits for may wait."""
_CLOSE_TIMEOUT = 10.0
_MAX_WAITING = 10_000
_MAX_BATCH = 256


Work = Callable[[sqlite3.Connection], Any]
"""One step of a transaction; it may be undone alone."""

Job = tuple[Work, "asyncio.Future[Any] | None"]
"""A step, and the future of who waits for its result."""


class Engine:
    """The file and its writer thread. Opened by `open`, and closed by `close`
    after the last use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.Queue[Job | None] = queue.Queue(_MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reader: sqlite3.Connection | None = None
        self._later: list[Work] = []
        self.failed: str | None = None
        """Why the last transaction failed, None if it did not."""

    async def open(self) -> None:
        """Create or open the file.

        Raises ApiError 503 if it cannot be used, StoreVersionError if a newer
        release wrote it.
        """

        self._loop = asyncio.get_running_loop()
        self.path.parent.mkdir(parents=True, exist_ok=True)

        self._thread = threading.Thread(
            target=self._write, name="store", daemon=True
        )

        self._thread.start()

        # The first transaction opens the file: it fails here, and not at the
        # first request.
        await self.run(lambda db: db.execute("PRAGMA user_version").fetchone())

        self._reader = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT, isolation_level=None
        )

        self._reader.execute("PRAGMA query_only=1")
        self._reader.execute(_TEMPORARY_IN_MEMORY)

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` in the writer thread; it is committed when this returns,
        and had no effect when it raises.

        Raises ApiError 503 `store_unavailable` if the file cannot be written,
        or too much is waiting.
        """

        if self._loop is None:
            raise _unavailable("the store is not open")

        future: asyncio.Future[_T] = self._loop.create_future()
        self._flush()
        self._enqueue((work, future))

        return await future

    def read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work`, which only reads, at once: with WAL a reader waits for
        no writer, and sees all commits.

        It may not see yet what was posted.

        Raises ApiError 503 `store_unavailable`.
        """
        if self._reader is None:
            raise _unavailable("the store is not open")

        try:
            return work(self._reader)
        except sqlite3.Error as error:
            raise _unavailable(_describe(error)) from None

    def post(self, work: Work) -> None:
        """Run `work` in a moment, after all that was handed in before it,
        without waiting for it.

        Nothing wakes the thread for it at once: what answers a caller goes
        first. A process that dies in that moment has not done it. While too
        much is waiting, it stays here, and is handed in with the work that
        comes next. While the file cannot be written, for instance because the
        disk is full, it goes before anything else until it is committed.
        """
        if not self._later and self._loop is not None:
            self._loop.call_later(LATER, self._flush)

        self._later.append(work)

    async def sync(self) -> None:
        """Wait until all that was committed is on the disk, also if the power
        fails.
        """
        await asyncio.to_thread(self._sync)

    async def close(self) -> None:
        """Finish what is waiting, and close the file."""
        if self._thread is None:
            return

        if self._reader is not None:
            self._reader.close()
            self._reader = None

        # The writer closes its connection when it meets None, after all that
        # was handed in before.
        self._flush()
        await asyncio.to_thread(self._queue.put, None)
        await asyncio.to_thread(self._thread.join, _CLOSE_TIMEOUT)
        self._thread = None

    def _flush(self) -> None:
        """Hand in what was posted, as one step."""
        works = self._later

        if works:
            self._enqueue((lambda db: [work(db) for work in works], None))
            self._later = []

    def _enqueue(self, job: Job) -> None:
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            raise _unavailable("too much is waiting for the store") from None

    def _sync(self) -> None:
        # Only the log: to close any descriptor of the database itself drops
        # SQLite's locks on it (POSIX), and a twin that ends would then take
        # the log away under us. A checkpoint syncs the database.
        with suppress(FileNotFoundError):
            descriptor = os.open(f"{self.path}-wal", os.O_RDONLY)

            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def _write(self) -> None:
        """Be the writer thread: one transaction after the other, until
        `close`.
        """
        db: sqlite3.Connection | None = None
        kept: list[Job] = []
        closing = False

        while not closing:
            batch = self._next_batch()
            closing = batch[-1] is None
            jobs = kept + [job for job in batch if job is not None]
            kept = []

            try:
                db = db or connect(self.path)

                results = _commit(
                    db,
                    [work for work, _ in jobs],
                    prove=self.failed is not None,
                )

                self.failed = None
            except (sqlite3.Error, OSError, StoreVersionError) as error:
                reason = _describe(error)

                if self.failed != reason:
                    log.warning("the store cannot be used", reason=reason)

                self.failed = reason

                failure = (
                    error
                    if isinstance(error, StoreVersionError)
                    else _unavailable(reason)
                )

                results = [failure for _ in jobs]

                if _may_pass(error):
                    kept = _posted(jobs)

                if db is not None:
                    with suppress(sqlite3.Error):
                        db.rollback()

            self._answer(jobs, results)

        if db is not None:
            db.close()

    def _next_batch(self) -> list[Job | None]:
        """Wait for a job, and take what else is there; None, for `close`,
        comes last.
        """
        batch = [self._queue.get()]

        while len(batch) < _MAX_BATCH and batch[-1] is not None:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break

        return batch

    def _answer(self, jobs: list[Job], results: list[Any]) -> None:
        """Hand each result to who waits for it, in the event loop."""
        waiters = [
            (future, result)
            for (_, future), result in zip(jobs, results, strict=True)
            if future
        ]

        if waiters and self._loop is not None:
            with suppress(
                RuntimeError
            ):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, waiters)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file with our settings and tables.

    Raises sqlite3.Error, OSError, StoreVersionError.
    """

    path.touch(mode=0o600)  # SQLite gives its other files the same rights

    db = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )

    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA journal_size_limit=16777216")
        db.execute(_TEMPORARY_IN_MEMORY)
        bring_up_to_date(db, path)
    except BaseException:
        db.close()
        raise

    path.chmod(0o600)

    return db


def _commit(
    db: sqlite3.Connection, works: list[Work], *, prove: bool
) -> list[Any]:
    """Run steps in one transaction; one that raises is undone alone, and its
    exception is its result.

    To `prove` that the file can be written, the transaction writes also where
    its steps only read: else a full disk would look sound in between. Raises
    sqlite3.OperationalError: then none of the steps was done.
    """

    if not works:
        return []

    results: list[Any] = []
    db.execute("BEGIN IMMEDIATE")

    if prove:
        _write_anything(db)

    for work in works:
        db.execute("SAVEPOINT step")

        try:
            results.append(work(db))
        except sqlite3.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's, who waits in the event loop
            db.execute("ROLLBACK TO step")
            results.append(error)

        db.execute("RELEASE step")

    db.execute("COMMIT")

    return results


def _write_anything(db: sqlite3.Connection) -> None:
    """Write a page of the file, and change nothing.

    A newer release may have the file too: its version stays what it is.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.execute(f"PRAGMA user_version = {version}")


def _may_pass(error: Exception) -> bool:
    """Return whether the same steps may succeed later: the disk is full, or
    another process is slow.

    A statement that SQLite does not understand fails for ever.
    """
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode != sqlite3.SQLITE_ERROR

    return isinstance(error, OSError)


def _posted(jobs: list[Job]) -> list[Job]:
    """Return the jobs that nobody waits for, and that nobody hands in once
    more; the bound is that of the queue.
    """
    posted = [job for job in jobs if job[1] is None]

    return posted[:_MAX_WAITING]


def _settle(waiters: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in waiters:
        if future.done():
            continue

        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _unavailable(reason: str) -> ApiError:
    return ApiError(
        503,
        "store_unavailable",
        f"the bridge cannot keep the request: {reason}",
    )


_TEMPORARY_IN_MEMORY = "PRAGMA temp_store=MEMORY"
"""SQLite puts larger intermediate results into a file of a temporary folder; a
pod whose root file system is read-only has none ("disk I/O error").
"""

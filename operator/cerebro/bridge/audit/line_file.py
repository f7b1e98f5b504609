"""A file to which lines are appended, also while others move, cut or rewrite
it. Every call blocks: it belongs into a thread.

Who writes holds the lock of the file (`flock`), so two processes may append to
one file, and `rewrite` loses no line. The file is opened anew once its name
stands for another one: after `logrotate` moved it nothing has to be told to
the process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader, FileIO
from pathlib import Path


class LineFile:
    """A file of lines. Only one thread may use it at a time."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = 0,
        former: int = 0,
        durable: bool = False,
    ) -> None:
        """From `max_bytes` on (0: never) the file becomes `<path>.1`, of which
        there are `former` at most. With `durable` what was appended survives a
        power failure.
        """
        self.path = path
        self._max_bytes = max_bytes
        self._former = former
        self._durable = durable
        self._file: FileIO | None = None

    def append(self, lines: bytes) -> None:
        """Append whole lines. Raises OSError: then none of them is in the file,
        as far as it can be cut.
        """
        with self._locked() as file:
            # A process that was killed may have left half a line behind.
            end = file.seek(0, os.SEEK_END)
            if end and not self._ends_with_a_line(file, end):
                lines = b"\n" + lines

            try:
                _write_all(file, lines)

                if self._durable:
                    os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(end)

                raise

            if self._max_bytes and file.tell() >= self._max_bytes:
                self._rotate()

    def tail(self, size: int) -> list[bytes]:
        """Return the whole lines among the last `size` bytes. Raises OSError."""
        with self._locked() as file:
            end = file.seek(0, os.SEEK_END)
            begin = max(0, end - size)
            file.seek(begin)
            lines = file.readall().split(b"\n")

        return lines[1:] if begin else lines

    def close(self) -> None:
        """Close the file; the next call opens it anew."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @contextmanager
    def _locked(self) -> Iterator[FileIO]:
        """Yield the file that the path names now, with its lock."""
        while True:
            file = self._opened()
            fcntl.flock(file, fcntl.LOCK_EX)
            if self._is_current(file):
                break

            # Whoever had the lock moved the file away.
            self.close()

        try:
            yield file
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)

    def _opened(self) -> FileIO:
        if self._file is None or not self._is_current(self._file):
            self.close()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(
                self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640
            )
            self._file = FileIO(handle, "r+")

        return self._file

    def _is_current(self, file: FileIO) -> bool:
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return False

        return os.path.samestat(named, os.fstat(file.fileno()))

    @staticmethod
    def _ends_with_a_line(file: FileIO, end: int) -> bool:
        file.seek(end - 1)

        return file.read(1) == b"\n"

    def _rotate(self) -> None:
        """Move the file and its former ones on by a number."""
        if self._former == 0:
            self.path.unlink()
            return

        for number in range(self._former, 0, -1):
            source = _former_name(self.path, number - 1)
            if source.exists():
                source.replace(_former_name(self.path, number))


@contextmanager
def _locked_for_rewriting(path: Path) -> Iterator[FileIO]:
    """Yield the file that the path names, with its lock."""
    while True:
        with FileIO(path, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)

            # It may have been moved away while somebody else had the lock.
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                yield file
                return


def _write_all(file: FileIO, lines: bytes) -> None:
    """Write it all; the system may take a part only."""
    rest = memoryview(lines)
    while rest:
        rest = rest[file.write(rest) :]


def rewrite(path: Path, keeps: Callable[[bytes], bool]) -> int:
    """Remove the lines of a file that `keeps` refuses; return how many.

    Who appends to it meanwhile waits. Raises OSError: then the file is as it
    was.
    """
    removed = 0
    draft = path.with_name(f"{path.name}.rewritten")
    with _locked_for_rewriting(path) as file:
        # As long as `lines` lives the file is open, and ours.
        lines = BufferedReader(file)
        try:
            with draft.open("wb") as rest:
                _take_over_rights(file.fileno(), rest.fileno())
                for line in lines:
                    if keeps(line):
                        rest.write(line)
                    else:
                        removed += 1

                rest.flush()
                os.fsync(rest.fileno())

            if removed:
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
            lines.detach()

    return removed


def _take_over_rights(source: int, target: int) -> None:
    """Give a file the owner and the rights of another one."""
    rights = os.fstat(source)
    os.fchmod(target, rights.st_mode)
    with suppress(PermissionError):
        os.fchown(target, rights.st_uid, rights.st_gid)


def _former_name(path: Path, number: int) -> Path:
    """Return the name of the file that was moved on that often."""
    return path if number == 0 else path.with_name(f"{path.name}.{number}")

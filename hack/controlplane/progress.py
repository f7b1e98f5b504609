"""Says on standard error what is going on: a bar on a terminal, now and then a
line elsewhere.
"""

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

BAR_WIDTH = 24


class Progress:
    """A context manager around one long step.

    It prints the step's name at once, a heartbeat with the elapsed time while
    the step runs, and one line at the end. `update(done, total)` may be called
    from any thread to show how far the step is.
    """

    def __init__(
        self,
        step: str,
        *,
        stream: TextIO | None = None,
        interval: float | None = None,
    ) -> None:
        self.step = step
        self._stream = stream or sys.stderr
        self._tty = self._stream.isatty()
        self._interval = interval or (0.5 if self._tty else 10.0)
        self._done: int | None = None
        self._total: int | None = None
        self._note = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._beat, name="progress", daemon=True
        )
        self._started = time.monotonic()

    def update(self, done: int, total: int | None = None) -> None:
        """Set how many of how many parts are done; the next heartbeat shows
        it.
        """
        self._done, self._total = done, total

    def note(self, text: str) -> None:
        """Set a short remark for the last line, such as where something was
        found.
        """
        self._note = text

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        if not self._tty:
            self._line(f"{self.step} ...")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        outcome = "done" if kind is None else "failed"
        note = f" ({self._note})" if self._note else ""
        start = "\r\x1b[K" if self._tty else ""
        self._line(
            f"{start}{self.step}: {outcome} after {self._elapsed()}{note}"
        )

    def _beat(self) -> None:
        while not self._stop.wait(self._interval):
            text = f"{self.step}: {self._elapsed()}{self._share()}"
            if self._tty:
                self._stream.write(f"\r\x1b[K{text}")
                self._stream.flush()
            else:
                self._line(text)

    def _elapsed(self) -> str:
        seconds = time.monotonic() - self._started
        return (
            f"{seconds:.1f} s"
            if seconds < 60
            else f"{int(seconds // 60)} min {int(seconds % 60)} s"
        )

    def _share(self) -> str:
        if self._done is None:
            return ""
        if not self._total:
            return f", {self._done} done"
        filled = min(BAR_WIDTH, self._done * BAR_WIDTH // self._total)
        bar = (
            f" [{'#' * filled}{'.' * (BAR_WIDTH - filled)}]"
            if self._tty
            else ""
        )
        return f",{bar} {min(self._done, self._total)} of {self._total}"

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def wait_until(
    check: Callable[[], bool],
    what: str,
    *,
    timeout: float,
    interval: float = 0.05,
) -> None:
    """Poll `check` until it is true; raise TimeoutError that names `what`
    after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not so after {timeout:.0f} s")
        time.sleep(interval)

"""`python -m local up [--routers N] [--store redis] [--bridges N] | down |
status`: the local relay in the background of this machine.
"""

import argparse
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from local.relay import FOLDER, HACK, ROOT, bring_up, clear_folder
from local.settings import Settings, draw

LOCK = FOLDER / "lock"
PID = FOLDER / "supervisor.pid"
LOG = FOLDER / "log" / "supervisor.log"
READY = "ready"
DOWN_TIMEOUT = 60.0


class _Stop(BaseException):
    """SIGTERM came; nothing but the supervising process's outermost code
    catches it.
    """


def main() -> int:
    """Run one command; the exit status is 0 when what was asked for is so."""
    parser = argparse.ArgumentParser(
        prog="python -m local", description=__doc__
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="up|down|status"
    )
    for name in ("up", "supervise"):
        command = commands.add_parser(name)
        command.add_argument(
            "--routers", type=int, default=3, metavar="1..1000"
        )
        command.add_argument(
            "--store", choices=("sqlite", "redis"), default="sqlite"
        )
        command.add_argument("--bridges", type=int, default=1, metavar="1..9")
    for name in ("down", "status"):
        commands.add_parser(name)
    given = parser.parse_args()
    if given.command in {"up", "supervise"}:
        if not 1 <= given.routers <= 1000:
            parser.error(
                f"--routers: {given.routers} is not within 1 and 1000"
            )
        if not 1 <= given.bridges <= 9:
            parser.error(f"--bridges: {given.bridges} is not within 1 and 9")
        options = (
            f"--routers={given.routers}",
            f"--store={given.store}",
            f"--bridges={given.bridges}",
        )
        if given.command == "up":
            return up(options)
        with_redis = given.store == "redis"
        return supervise(
            lambda: draw(
                given.routers, bridges=given.bridges, with_redis=with_redis
            )
        )
    return down() if given.command == "down" else status()


def up(options: Sequence[str]) -> int:
    """Start the supervising process with `options` and show its progress until all is ready;
    harmless when it runs.
    """
    shown = os.path.relpath(FOLDER, ROOT)
    if _is_up():
        print(f"already up (`. {shown}/env`); `make down` stops it")
        return 0
    began = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "local",
        "supervise",
        *options,
    ]
    child = subprocess.Popen(
        command,
        cwd=HACK,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    try:
        ready = any(line.strip() == READY for line in child.stdout)
    except KeyboardInterrupt:
        child.terminate()
        child.wait()
        raise
    if not ready:
        child.wait()
        print(f"not up; the logs are in {shown}/log", file=sys.stderr)
        return 1
    print(
        f"up after {time.monotonic() - began:.0f} s. Now `. {shown}/env`, then `kubectl get devices`"
    )
    print(
        f"logs: {shown}/log, process ids: {shown}/pid, all stopped by `make down`"
    )
    child.returncode = (
        0  # it stays; without this Python would warn that nobody waited for it
    )
    return 0


def supervise(settings: Callable[[], Settings]) -> int:
    """Bring everything up with what `settings` draws, say so on standard output, keep it running until
    SIGTERM.
    """
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    signal.signal(signal.SIGTERM, _stop_once)
    with _lock() as held:
        if not held:
            print("another `up` is at work", file=sys.stderr)
            return 1
        clear_folder(keep=LOCK)
        PID.write_text(f"{os.getpid()}\n")
        running = None
        try:
            running = bring_up(settings())
            print(READY, flush=True)
            _output_to_log()
            threading.Event().wait()
        except _Stop:
            pass
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        finally:
            if running is not None:
                running.close()
            PID.unlink()
    return 0


def down() -> int:
    """Stop everything and wait for it; harmless when nothing runs."""
    if not _is_up():
        print("not up")
        return 0
    with suppress(ProcessLookupError, FileNotFoundError):
        supervisor = int(PID.read_text())
        os.kill(supervisor, signal.SIGTERM)
        deadline = time.monotonic() + DOWN_TIMEOUT
        while _is_up() and time.monotonic() < deadline:
            time.sleep(0.1)
        if _is_up():
            os.kill(supervisor, signal.SIGKILL)  # its children die with it
    (FOLDER / "env").unlink(missing_ok=True)
    print("down")
    return 0


def status() -> int:
    """Print which processes run; the exit status is 1 when the local relay is
    not up.
    """
    if not _is_up():
        print("not up")
        return 1
    for path in sorted((FOLDER / "pid").glob("[!.]*")):
        print(f"{path.name:<24}{path.read_text().strip()}")
    return 0


def _stop_once(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _Stop


def _output_to_log() -> None:
    """Let go of the terminal or pipe of whoever ran `up`."""
    with LOG.open("a") as log:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(log.fileno(), stream.fileno())


def _is_up() -> bool:
    if not LOCK.exists():
        return False
    with _lock() as held:
        return not held


@contextmanager
def _lock() -> Iterator[bool]:
    """Hold the lock of the supervising process, if nobody does; it goes with
    the process that has it.
    """
    with LOCK.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


if __name__ == "__main__":
    sys.exit(main())

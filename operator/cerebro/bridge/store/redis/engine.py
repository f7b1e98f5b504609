"""The connection to one Redis: what is waiting goes together, and comes back
in its order.

A call that Redis does not answer in time is ApiError 503. It is not tried a
second time here: whether Redis did it nobody can tell, and every caller may
call once more. The engine knows no table: what is kept is in the files beside
it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.redis.scripts import MEET, Script
from cerebro.bridge.store_settings import RedisAddress
from cerebro.runtime.clock import monotonic, now_ms

log = structlog.get_logger(__name__)

CALL_TIMEOUT = 2.0
"""Seconds in which all that goes together has to be answered."""

LATER = 0.01
"""Seconds that work which nobody waits for may wait."""

ENCODING_ERRORS = "surrogatepass"
"""Any text of a caller can be sent: what cannot would keep what goes with it
from Redis.
"""

_MAX_POSTED = 50_000
_MAX_WAITING = 10_000
_AT_ONCE = 256
"""Calls, or commands of a transaction, that go together at most."""

Word = str | int

Command = tuple[Word, ...]
"""A command of Redis, its first key without what all names begin with."""

Observe = Callable[[str, float, bool], None]
"""Takes what was done (`run` a script, `read`, `write`), the seconds that its
caller waited, and whether Redis did it.
"""


class Step(NamedTuple):
    """A script and its arguments."""

    script: Script
    arguments: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class _Job:
    """Commands that somebody waits for; of a transaction none goes without the
    others.
    """

    commands: Sequence[Command | Step]
    transaction: bool = False
    future: asyncio.Future[list[Any]] | None = None
    """None for what was posted."""


class Engine:
    """One Redis, opened by `open` and closed by `close` after the last use."""

    def __init__(
        self,
        address: RedisAddress,
        namespace: str,
        observe: Observe | None = None,
    ) -> None:
        """`observe` is called with each call that somebody waited for."""
        self.address = address
        self._observe = observe
        self.prefix = f"{namespace}:cerebro:"
        self.failed: str | None = None
        """Why the last call failed, None if it did not."""

        self.refused = False
        """Whether Redis answered the last call, and refused it: so it will a
        second time, without another password, right or setting.
        """

        self.since = 0
        """Since when Redis has forgotten nothing, in milliseconds."""

        self._connection: AbstractConnection | None = None
        self._known_scripts: set[str] = set()
        self._jobs: deque[_Job] = deque()
        self._posted: list[Command | Step] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take calls from now on; the first one connects."""
        self._task = asyncio.create_task(self._work(), name="store")

    async def close(self) -> None:
        """Hand in what was posted, if Redis answers, and disconnect."""
        if self._task is None:
            return

        with suppress(ApiError):
            await self.flush()

        task, self._task = self._task, None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._disconnect()

    async def run(self, script: Script, *arguments: Word) -> Any:
        """Run a script after what was posted, and return what it returns.

        Raises ApiError 503 `store_unavailable`.
        """
        steps = (Step(script, arguments),)
        (answer,) = await self._observed("run", self._submit(steps))

        return answer

    async def read(self, *commands: Command) -> list[Any]:
        """Run commands that only read, after what was posted, and return what
        each returns.

        Raises ApiError 503 `store_unavailable`.
        """
        return await self._observed("read", self._submit(commands))

    async def write(self, *commands: Command) -> list[Any]:
        """Run commands as one transaction, after what was posted.

        Raises ApiError 503 `store_unavailable`.
        """
        done = self._submit(commands, transaction=True)

        return await self._observed("write", done)

    async def flush(self) -> None:
        """Hand in what was posted.

        Raises ApiError 503 `store_unavailable`: then it is posted still.
        """
        if self._posted:
            await self._submit(())

    def post(self, *commands: Command | Step) -> None:
        """Run commands and scripts in a moment, without waiting for it, in
        their order.

        They must bear to be run twice. While Redis is away they stay here, and
        go before anything else when it is back. Raises ApiError 503 if too
        many are here.
        """
        if self._task is None:
            raise _unavailable("the store is not open")

        if len(self._posted) >= _MAX_POSTED:
            raise _unavailable("too much is waiting for the store")

        if not self._posted:
            loop = asyncio.get_running_loop()
            loop.call_later(LATER, self._wake.set)

        self._posted += commands

    async def _observed(
        self, operation: str, done: Awaitable[list[Any]]
    ) -> list[Any]:
        """Wait for a call, and say how long it took and whether it was done."""
        began = monotonic()
        is_done = False

        try:
            answers = await done
            is_done = True
            return answers
        finally:
            if self._observe is not None:
                seconds = monotonic() - began
                self._observe(operation, seconds, is_done)

    async def _submit(
        self, commands: Sequence[Command | Step], *, transaction: bool = False
    ) -> list[Any]:
        if self._task is None:
            raise _unavailable("the store is not open")

        if len(self._jobs) >= _MAX_WAITING:
            raise _unavailable("too much is waiting for the store")

        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        self._jobs.append(_Job(commands, transaction, future))
        self._wake.set()

        return await future

    async def _work(self) -> None:
        """Send what is waiting and hand out the answers, one round after the
        other.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()

            while batch := self._next_batch():
                try:
                    async with asyncio.timeout(CALL_TIMEOUT):
                        answers = await self._exchange(batch)
                except (RedisError, OSError) as error:
                    await self._fail(batch, error)
                    break
                except Exception as error:
                    # One of these cannot be sent: a fault of ours, and theirs.
                    log.exception("what goes to the store cannot be sent")
                    await self._disconnect()
                    _settle(batch, [error for _ in batch])
                else:
                    await self._settle(batch, answers)

    def _next_batch(self) -> list[_Job]:
        """Return what goes next: all that was posted, and then calls whose
        callers wait still.
        """
        batch = [
            _Job(self._posted[start : start + _AT_ONCE], transaction=True)
            for start in range(0, len(self._posted), _AT_ONCE)
        ]
        while self._jobs and len(batch) < _AT_ONCE:
            job = self._jobs.popleft()
            if job.future is not None and not job.future.done():
                batch.append(job)

        return batch

    async def _exchange(self, batch: Sequence[_Job]) -> list[Any]:
        """Return the answers of each job, or the error with which Redis
        refused one.

        Raises RedisError, OSError: then it is not known what Redis did.
        """
        connection = await self._live_connection()
        commands = [words for job in batch for words in self._words(job)]
        if commands:
            packed = connection.pack_commands(commands)
            await connection.send_packed_command(packed)

        return [await _answers_of(connection, job) for job in batch]

    def _words(self, job: _Job) -> list[tuple[Word, ...]]:
        """Return the commands of a job as they are sent."""
        commands = [self._sent(command) for command in job.commands]
        if not job.transaction or not commands:
            return commands

        return [("MULTI",), *commands, ("EXEC",)]

    def _sent(self, command: Command | Step) -> tuple[Word, ...]:
        """Return a command as it is sent: names begin with the prefix, and a
        script goes whole the first time.
        """
        if not isinstance(command, Step):
            name, key, *rest = command
            return (name, f"{self.prefix}{key}", *rest)

        script, arguments = command
        if script.sha in self._known_scripts:
            return ("EVALSHA", script.sha, 1, self.prefix, *arguments)

        self._known_scripts.add(script.sha)

        return ("EVAL", script.text, 1, self.prefix, *arguments)

    async def _settle(
        self, batch: Sequence[_Job], answers: Sequence[Any]
    ) -> None:
        """Hand out answers; what was posted and taken is posted no more."""
        errors = [each for each in answers if isinstance(each, RedisError)]
        if errors:
            await self._note_failure(errors[0])
        else:
            if self.failed is not None:
                log.info(
                    "the store can be used again", redis=str(self.address)
                )

            self.failed = None

        for job, answer in zip(batch, answers, strict=True):
            if job.future is None and not isinstance(answer, RedisError):
                del self._posted[: len(job.commands)]

        results = [
            _unavailable(self._describe(answer))
            if isinstance(answer, RedisError)
            else answer
            for answer in answers
        ]
        _settle(batch, results)

    async def _fail(
        self, batch: Sequence[_Job], error: RedisError | OSError
    ) -> None:
        """Refuse what was sent, and all that waits for the same Redis."""
        await self._note_failure(error)
        waiting = [*batch, *self._jobs]
        self._jobs.clear()
        reason = self._describe(error)
        _settle(waiting, [_unavailable(reason) for _ in waiting])

    async def _note_failure(self, error: RedisError | OSError) -> None:
        reason = self._describe(error)
        if self.failed != reason:
            log.warning(
                "the store cannot be used",
                reason=reason,
                redis=str(self.address),
            )

        self.failed = reason
        self.refused = isinstance(error, (AuthenticationError, ResponseError))
        await self._disconnect()

    async def _live_connection(self) -> AbstractConnection:
        """Return the connection, or a new one if Redis closed it meanwhile."""
        if self._connection is not None:
            if not await _is_closed(self._connection):
                return self._connection

            await self._disconnect()

        kind = SSLConnection if self.address.tls else Connection
        connection: Any = kind(**self._connection_settings())
        await connection.connect()
        self._connection = connection

        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._known_scripts.clear()
        if connection is not None:
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)

    def _connection_settings(self) -> dict[str, Any]:
        address = self.address
        settings: dict[str, Any] = {
            "host": address.host,
            "port": address.port,
            "db": address.database,
            "username": address.username,
            "password": address.password,
            "client_name": "cerebro-bridge",
            "decode_responses": True,
            "encoding_errors": ENCODING_ERRORS,
            "protocol": 2,
            "redis_connect_func": self._meet,
            "retry": Retry(NoBackoff(), 0),
            "socket_connect_timeout": CALL_TIMEOUT,
            "socket_timeout": CALL_TIMEOUT,
        }
        if address.tls and address.ca is not None:
            settings["ssl_ca_certs"] = str(address.ca)

        return settings

    async def _meet(self, connection: AbstractConnection) -> None:
        """Log in, and learn whether Redis was started anew: before any call
        goes through this connection.
        """
        await connection.on_connect()

        await connection.send_command("INFO", "server")
        lines = str(await connection.read_response()).splitlines()
        run = next(
            (line for line in lines if line.startswith("run_id:")), "run_id:"
        )

        await connection.send_command(
            "EVAL", MEET.text, 1, self.prefix, run, now_ms()
        )
        self.since = int(await connection.read_response())

    def _describe(self, error: Exception) -> str:
        reason = str(error) or f"no answer within {CALL_TIMEOUT:g} s"
        text = f"{type(error).__name__}: {reason.splitlines()[0]}"
        password = self.address.password

        return text.replace(password, "***") if password else text


async def _is_closed(connection: AbstractConnection) -> bool:
    """Return whether a connection is no use any more: nothing may be left to
    read in it between two rounds.
    """
    try:
        return bool(await connection.can_read())
    except (RedisError, OSError):
        return True


async def _answers_of(connection: AbstractConnection, job: _Job) -> Any:
    """Return the answers to a job's commands, or an error of one of them."""
    count = len(job.commands)
    if job.transaction and count:
        count += 2

    answers: list[Any] = []
    errors: list[RedisError] = []
    for _ in range(count):
        try:
            answers.append(await connection.read_response())
        except ResponseError as error:
            errors.append(error)

    if job.transaction and answers and not errors:
        answers = answers[-1]
        errors = [each for each in answers if isinstance(each, RedisError)]

    return errors[0] if errors else answers


def _settle(batch: Sequence[_Job], results: Sequence[Any]) -> None:
    """Hand a result, or an exception, to each who waits for it."""
    for job, result in zip(batch, results, strict=True):
        if job.future is None or job.future.done():
            continue

        if isinstance(result, Exception):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)


def _unavailable(reason: str) -> ApiError:
    return ApiError(
        503,
        "store_unavailable",
        f"the bridge cannot keep the request: {reason}",
    )

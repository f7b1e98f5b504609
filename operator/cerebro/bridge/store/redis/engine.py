"""The connections to one Redis: scripts, reads, and what is posted for later.

A call that Redis does not answer in time is ApiError 503. It is not tried a
second time here: whether Redis did it nobody can tell, and every caller may
call once more. The engine knows no table: what is kept is in the files beside
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from cerebro.bridge.errors import ApiError
from cerebro.bridge.store.redis.scripts import MEET, Script
from cerebro.bridge.store_settings import RedisAddress
from cerebro.runtime.clock import now_ms

log = structlog.get_logger(__name__)

CALL_TIMEOUT = 2.0
"""Seconds that a call may take, with the wait for a connection."""

LATER = 0.01
"""Seconds that work which nobody waits for may wait."""

_CONNECTIONS = 32
_MAX_POSTED = 50_000
_AT_ONCE = 500
"""Posted commands that go in a transaction at most."""

_T = TypeVar("_T")


class Step(NamedTuple):
    """A script and its arguments, as a part of a transaction."""

    script: Script
    arguments: tuple[str | int, ...]


Command = tuple[str | int, ...]
"""A command of Redis, its first key without what all names begin with."""


class Engine:
    """One Redis, opened by `open` and closed by `close` after the last use."""

    def __init__(self, address: RedisAddress, namespace: str) -> None:
        self.address = address
        self.prefix = f"{namespace}:cerebro:"
        self.failed: str | None = None
        """Why the last call failed, None if it did not."""

        self.refused = False
        """Whether Redis answered the last call, and refused it: so it will a
        second time, without another password, right or setting.
        """

        self.since = 0
        """Since when Redis has forgotten nothing, in milliseconds."""

        self._redis: Redis | None = None
        self._posted: list[Command | Step] = []
        self._flushing = asyncio.Lock()
        self._flush_task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the connections ready; the first call connects."""
        pool = BlockingConnectionPool(
            max_connections=_CONNECTIONS,
            timeout=CALL_TIMEOUT,
            connection_class=SSLConnection if self.address.tls else Connection,
            **self._connection_settings(),
        )
        self._redis = Redis(connection_pool=pool)

    async def close(self) -> None:
        """Hand in what was posted, if Redis answers, and disconnect."""
        if self._redis is None:
            return

        with suppress(ApiError):
            await self.flush()

        redis, self._redis = self._redis, None
        with suppress(RedisError, OSError):
            await redis.aclose()
            await redis.connection_pool.disconnect()

    async def run(self, script: Script, *arguments: str | int) -> Any:
        """Run a script after what was posted, and return what it returns.

        Raises ApiError 503 `store_unavailable`.
        """
        await self.flush()

        return await self._call(self._evaluate(script, arguments))

    async def read(self, *commands: Command) -> list[Any]:
        """Run commands that only read, after what was posted, and return what
        each returns. Others may write between them.

        Raises ApiError 503 `store_unavailable`.
        """
        await self.flush()

        return await self._call(self._pipeline(commands, transaction=False))

    async def write(self, *commands: Command) -> list[Any]:
        """Run commands as one transaction, after what was posted.

        Raises ApiError 503 `store_unavailable`.
        """
        await self.flush()

        return await self._call(self._pipeline(commands, transaction=True))

    async def info(self, section: str) -> dict[str, Any]:
        """Return what Redis tells of itself; nothing if it tells nothing.

        Raises ApiError 503 `store_unavailable`.
        """
        redis = self._client()

        async def ask() -> dict[str, Any]:
            try:
                return dict(await redis.info(section))
            except ResponseError:
                return {}

        return await self._call(ask())

    def post(self, *commands: Command | Step) -> None:
        """Run commands and scripts in a moment, without waiting for it, in
        their order.

        They must bear to be run twice. While Redis is away they stay here, and
        go before anything else when it is back. Raises ApiError 503 if too
        many are here.
        """
        if self._redis is None:
            raise _unavailable("the store is not open")

        if len(self._posted) >= _MAX_POSTED:
            raise _unavailable("too much is waiting for the store")

        if not self._posted:
            loop = asyncio.get_running_loop()
            loop.call_later(LATER, self._flush_soon)

        self._posted += commands

    async def flush(self) -> None:
        """Hand in what was posted.

        Raises ApiError 503 `store_unavailable`: then it is posted still.
        """
        self._client()

        # Also while another call hands it in: what comes next must see it.
        if not self._posted and not self._flushing.locked():
            return

        async with self._flushing:
            while self._posted:
                posted = self._posted[:_AT_ONCE]
                await self._call(self._pipeline(posted, transaction=True))
                del self._posted[: len(posted)]

    def _flush_soon(self) -> None:
        if self._redis is not None:
            self._flush_task = asyncio.create_task(self._flush_quietly())

    async def _flush_quietly(self) -> None:
        with suppress(ApiError):
            await self.flush()

    def _client(self) -> Redis:
        if self._redis is None:
            raise _unavailable("the store is not open")

        return self._redis

    async def _evaluate(
        self, script: Script, arguments: Sequence[str | int]
    ) -> Any:
        redis: Any = self._client()
        keys = (1, self.prefix)
        try:
            return await redis.execute_command(
                "EVALSHA", script.sha, *keys, *arguments
            )
        except NoScriptError:
            return await redis.execute_command(
                "EVAL", script.text, *keys, *arguments
            )

    async def _pipeline(
        self, commands: Sequence[Command | Step], *, transaction: bool
    ) -> list[Any]:
        async with self._client().pipeline(transaction) as pipeline:
            for command in commands:
                pipeline.execute_command(*self._words(command))

            return list(await pipeline.execute())

    def _words(self, command: Command | Step) -> tuple[str | int, ...]:
        """Return what is sent: names begin with the prefix. A script is sent
        whole, for within a transaction nobody can ask whether Redis has it.
        """
        if isinstance(command, Step):
            text = command.script.text
            return ("EVAL", text, 1, self.prefix, *command.arguments)

        name, key, *rest = command

        return (name, f"{self.prefix}{key}", *rest)

    async def _call(self, call: Awaitable[_T]) -> _T:
        """Await a call to Redis, and note whether it succeeded."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                result = await call
        except (RedisError, OSError) as error:
            await self._note_failure(error)
            raise _unavailable(self._describe(error)) from None

        if self.failed is not None:
            log.info("the store can be used again", redis=str(self.address))

        self.failed = None

        return result

    async def _note_failure(self, error: RedisError | OSError) -> None:
        """Note why a call failed; if Redis did not answer, let no other call
        try a connection that lies idle and is as dead.
        """
        reason = self._describe(error)
        if self.failed != reason:
            log.warning(
                "the store cannot be used",
                reason=reason,
                redis=str(self.address),
            )

        self.failed = reason
        self.refused = isinstance(error, (AuthenticationError, ResponseError))
        if self.refused or self._redis is None:
            return

        with suppress(RedisError, OSError):
            pool = self._redis.connection_pool
            await pool.disconnect(inuse_connections=False)

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


def _unavailable(reason: str) -> ApiError:
    return ApiError(
        503,
        "store_unavailable",
        f"the bridge cannot keep the request: {reason}",
    )

"""Carries connections between network namespaces: `python -m network.forward
RULE...`, LISTEN=CONNECT each.

`tcp:127.0.0.1:6443=unix:/tmp/x/6443` and
`unix:/tmp/x/6443=tcp:127.0.0.1:6443`: Unix sockets cross network namespaces,
ports do not. The end of one side ends the other at once, after what was sent
has been passed on; a reset arrives as an end. Half-closed connections are not
carried. Prints `forwarding` once all rules listen.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import cast

CONNECT_WITHIN = 10.0
READY = "forwarding"

Address = tuple[str, int] | Path


class RuleError(ValueError):
    """A rule that cannot be read."""


def parse_rule(rule: str) -> tuple[Address, Address]:
    """Split LISTEN=CONNECT. Raises RuleError."""
    listen, separator, connect = rule.partition("=")
    if not separator:
        raise RuleError(f"{rule!r}: a rule is LISTEN=CONNECT")
    return parse_address(listen), parse_address(connect)


def parse_address(text: str) -> Address:
    """Read `tcp:HOST:PORT`, with an IPv6 host in brackets, or `unix:PATH`.
    Raises RuleError.
    """
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return Path(rest)
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isdecimal() and 0 < int(port) < 65536:
        return host.strip("[]"), int(port)
    raise RuleError(
        f"{text!r}: an end of a rule is tcp:HOST:PORT or unix:/PATH"
    )


class _End(asyncio.Protocol):
    """One side of a carried connection; what it reads goes to `other`."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.other is not None and self.other.transport is not None:
            if exc is None:
                self.other.transport.close()
            else:
                self.other.transport.abort()


class _Accepted(_End):
    """The side that was dialled; dials the other one before it reads."""

    def __init__(
        self, connect: Address, dialling: set[asyncio.Task[None]]
    ) -> None:
        super().__init__()
        self._connect, self._dialling = connect, dialling

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        # Older releases of Python begin to read after this call even if it
        # pauses, so the pause comes later.
        loop.call_soon(cast("asyncio.Transport", transport).pause_reading)
        task = loop.create_task(self._dial())
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        other = _End()
        other.other = self
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                if isinstance(self._connect, Path):
                    await loop.create_unix_connection(
                        lambda: other, str(self._connect)
                    )
                else:
                    await loop.create_connection(lambda: other, *self._connect)
        except OSError:  # TimeoutError is one
            if self.transport is not None:
                self.transport.abort()
            return
        self.other = other
        if other.transport is not None and self.transport is None:
            other.transport.close()
        elif other.transport is None and self.transport is not None:
            self.transport.close()
        elif self.transport is not None:
            self.transport.resume_reading()


async def forward(rules: list[tuple[Address, Address]]) -> None:
    """Carry connections until cancelled. Raises OSError when an address cannot
    be listened on.
    """
    loop = asyncio.get_running_loop()
    dialling: set[asyncio.Task[None]] = set()
    servers = []
    for listen, connect in rules:

        def accepted(to: Address = connect) -> _Accepted:
            return _Accepted(to, dialling)

        if isinstance(listen, Path):
            listen.unlink(missing_ok=True)
            servers.append(
                await loop.create_unix_server(
                    accepted, str(listen), backlog=512
                )
            )
        else:
            servers.append(
                await loop.create_server(accepted, *listen, backlog=512)
            )
    print(READY, flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main() -> None:
    """Run the rules of the command line."""
    os.umask(0o077)
    try:
        rules = [parse_rule(argument) for argument in sys.argv[1:]]
    except RuleError as error:
        sys.exit(f"network.forward: {error}")
    with suppress(KeyboardInterrupt):
        asyncio.run(forward(rules))


if __name__ == "__main__":
    main()

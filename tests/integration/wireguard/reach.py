"""Who reaches whom, seen with real packets: `serve` listens, `try TARGET...` prints the targets that answered.

A target is `tcp:HOST:PORT`, `udp:HOST:PORT` or `ping:HOST`; all are tried at once. Runs inside of nodes, with
nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import cast

# Seconds, after which who did not answer counts as not reached; in a virtual machine everything takes longer.
WITHIN = 5.0 if os.environ.get("CEREBRO_TEST_WIREGUARD") == "Kernel" else 1.5
HELLO = b"hello\n"
TCP_PORT, UDP_PORT = 8728, 9001


class _Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


async def serve() -> None:
    """Listen on both ports, IPv4 and IPv6."""

    async def greet(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(HELLO)
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    await asyncio.start_server(greet, ["0.0.0.0", "::"], TCP_PORT)
    await asyncio.get_running_loop().create_datagram_endpoint(
        _Echo, ("::", UDP_PORT)
    )  # IPv4 too
    print("listening", flush=True)
    await asyncio.Event().wait()


async def reached(target: str) -> bool:
    """Tell whether the target answers in time."""
    kind, _, rest = target.partition(":")
    try:
        async with asyncio.timeout(WITHIN):
            if kind == "ping":
                ping = await asyncio.create_subprocess_exec(
                    "ping", "-c1", "-W1", rest, stdout=-3, stderr=-3
                )
                return await ping.wait() == 0
            host, port = rest.rsplit(":", 1)
            if kind == "tcp":
                reader, writer = await asyncio.open_connection(host, int(port))
                line = await reader.readline()
                writer.close()
                return line == HELLO
            loop = asyncio.get_running_loop()
            with socket.socket(
                socket.AF_INET6 if ":" in host else socket.AF_INET,
                socket.SOCK_DGRAM,
            ) as udp:
                udp.setblocking(False)
                await loop.sock_connect(udp, (host, int(port)))
                await loop.sock_sendall(udp, HELLO)
                return await loop.sock_recv(udp, 64) == HELLO
    except OSError:  # TimeoutError is one
        return False


async def try_all(targets: list[str]) -> None:
    """Print those that answered."""
    for target, answered in zip(
        targets, await asyncio.gather(*map(reached, targets)), strict=True
    ):
        if answered:
            print(target)


if __name__ == "__main__":
    asyncio.run(serve() if sys.argv[1] == "serve" else try_all(sys.argv[2:]))

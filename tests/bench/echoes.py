"""Runs in a node: pings many addresses again and again, and says when each answers for the first time in a round.

`python -m bench.echoes PAUSE ADDRESS...` sends one echo to each address every PAUSE seconds. A line at its input
begins a round; of that round it prints `ADDRESS SECONDS` once for each address that answers, by the monotonic clock,
which all processes of the machine share. What answers to an earlier round does not count.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress

_ECHO, _ANSWER = 8, 0
_HEAD = struct.Struct("!BBHHH")
"""Type, code, checksum, identifier and sequence number of an ICMP packet."""


def main() -> None:
    """Ping until the input ends."""
    pause, *addresses = sys.argv[1:]
    link = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    link.setblocking(False)
    identifier, number = os.getpid() & 0xFFFF, 0
    silent: set[str] = set()
    due = time.monotonic()
    while True:
        wait = max(0.0, due - time.monotonic())
        ready, _, _ = select.select([link, sys.stdin], [], [], wait)

        if sys.stdin in ready:
            if not sys.stdin.readline():
                return
            number, silent, due = number + 1, set(addresses), time.monotonic()

        if link in ready:
            address = _answered(link, identifier, number)
            if address in silent:
                silent.remove(address)
                print(address, time.monotonic(), flush=True)

        if time.monotonic() >= due:
            due += float(pause)
            echo = _echo(identifier, number)
            for address in silent:
                with suppress(OSError):  # no way there for now
                    link.sendto(echo, (address, 0))


def _echo(identifier: int, number: int) -> bytes:
    words = struct.unpack(
        "!4H", _HEAD.pack(_ECHO, 0, 0, identifier, number & 0xFFFF)
    )
    total = sum(words)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return _HEAD.pack(_ECHO, 0, checksum, identifier, number & 0xFFFF)


def _answered(link: socket.socket, identifier: int, number: int) -> str | None:
    """Who answered to an echo of this round; None if the packet is something else."""
    packet, (address, _) = link.recvfrom(2048)
    begin = 4 * (packet[0] & 0xF)
    kind, _, _, whose, which = _HEAD.unpack_from(packet, begin)
    ours = (kind, whose, which) == (_ANSWER, identifier, number & 0xFFFF)
    return str(address) if ours else None


if __name__ == "__main__":
    main()

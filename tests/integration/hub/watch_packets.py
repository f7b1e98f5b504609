"""Prints each WireGuard handshake packet that comes into this network namespace: `python -m ...watch_packets`.

One JSON object a line: `type` 1 (initiation), 2 (response) or 3 (cookie), `source`, `target`, `at` (seconds since
the machine's boot, the same for all namespaces). IPv4 only. Prints `watching` first.
"""

from __future__ import annotations

import json
import socket
import struct
import time

WATCHING = "watching"
LENGTHS = {1: 148, 2: 92, 3: 64}
_ETH_P_IP = 0x0800
_UDP = 17


def handshake(packet: bytes) -> tuple[int, str, str] | None:
    """Return type, source and target of an IPv4 packet that is a handshake; None for any other."""
    if len(packet) < 32 or packet[9] != _UDP:
        return None
    start = (packet[0] & 15) * 4 + 8
    length = struct.unpack_from("!H", packet, start - 4)[0] - 8
    message = packet[start : start + 4]
    kind = message[0] if message[1:] == b"\0\0\0" else 0
    if LENGTHS.get(kind) != length:
        return None
    return (
        kind,
        socket.inet_ntoa(packet[12:16]),
        socket.inet_ntoa(packet[16:20]),
    )


def main() -> None:
    """Watch until killed."""
    with socket.socket(
        socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)
    ) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        print(WATCHING, flush=True)
        while True:
            packet, address = raw.recvfrom(256)
            found = (
                handshake(packet)
                if address[2] != socket.PACKET_OUTGOING
                else None
            )
            if found is not None:
                kind, source, target = found
                seen = {
                    "type": kind,
                    "source": source,
                    "target": target,
                    "at": time.clock_gettime(time.CLOCK_BOOTTIME),
                }
                print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()

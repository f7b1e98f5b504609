"""`python -m cerebro.runtime.probe healthz` or `readyz`: a probe by a command,
for pods that cannot have a port of their own.

It asks the process of its own pod, by the socket that CEREBRO_PROBE_SOCKET
names. Nothing but the standard library is imported: a kubelet runs this every
few seconds.
"""

from __future__ import annotations

import os
import socket
import sys

VARIABLE = "CEREBRO_PROBE_SOCKET"
_TIMEOUT = 4.0
"""Seconds; the kubelet's own limit is a little longer."""
_LONGEST = 4096


def ask(path: str, page: str) -> tuple[bool, str]:
    """Return whether the process answers 200, and the text of its answer.
    Raises OSError if nobody answers in time.
    """
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT)
        connection.connect(path)
        connection.sendall(f"GET /{page} HTTP/1.0\r\n\r\n".encode())

        while chunk := connection.recv(_LONGEST):
            answer = (answer + chunk)[:_LONGEST]

    head, _, body = answer.decode("utf-8", "replace").partition("\r\n\r\n")
    status = head.partition("\r\n")[0].split()

    return status[1:2] == ["200"], body.strip()


def main(arguments: list[str]) -> int:
    """Print what is wrong; return the exit code, 0 if all is well."""
    path = os.environ.get(VARIABLE)
    if path is None or len(arguments) != 1:
        print(f"usage: {VARIABLE}=PATH python -m {__spec__.name} PAGE")
        return 2

    try:
        well, text = ask(path, arguments[0])
    except OSError as error:
        print(f"{path}: {error.strerror or 'no answer in time'}")
        return 1

    print(text)

    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

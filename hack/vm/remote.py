"""Runs programs in the virtual machine for a process outside: a server inside,
a client outside.

`python remote.py serve PORT` listens; it trusts whoever connects. `python
remote.py PORT CMD...` runs a command inside as if it ran here: environment,
working folder, what is in a pipe at its input, both outputs, exit status;
SIGTERM is passed on, and the end of the client kills the command. Needs only
the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
from typing import IO, NoReturn

_FRAME = struct.Struct("!BI")
_OUT, _ERROR, _EXIT = 1, 2, 3
_TERMINATE = b"T"


def serve(port: int) -> NoReturn:
    """Take orders from now on, each in a thread of its own."""
    with socket.create_server(("", port), backlog=128) as listener:
        print("serving", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(
                target=_serve_one, args=(connection,), daemon=True
            ).start()


def _serve_one(connection: socket.socket) -> None:
    lock = threading.Lock()

    def send(kind: int, data: bytes) -> None:
        with lock, contextlib.suppress(OSError):
            connection.sendall(_FRAME.pack(kind, len(data)) + data)

    def pump(kind: int, pipe: IO[bytes]) -> None:
        while data := os.read(pipe.fileno(), 65536):
            send(kind, data)

    with connection, connection.makefile("rb") as reader:
        order = json.loads(reader.readline())
        try:
            child = subprocess.Popen(
                order["argv"],
                cwd=order["cwd"],
                env=order["env"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            send(_ERROR, f"{error}\n".encode())
            send(_EXIT, b"127")
            return
        threading.Thread(
            target=_watch, args=(reader, child), daemon=True
        ).start()
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        pumps = [
            threading.Thread(target=pump, args=one, daemon=True)
            for one in ((_OUT, child.stdout), (_ERROR, child.stderr))
        ]
        for one in pumps:
            one.start()
        with contextlib.suppress(OSError):
            child.stdin.write(order["stdin"].encode())
            child.stdin.close()
        status = child.wait()
        for one in pumps:
            # What it left behind in the background may keep them open.
            one.join(0.5)
        send(_EXIT, str(status).encode())


def _watch(reader: IO[bytes], child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError):
        while said := reader.read(1):
            if said == _TERMINATE:
                child.terminate()
    child.kill()


def run(port: int, argv: list[str]) -> int:
    """Run a command inside; return its exit status, as a shell has it."""
    stdin = sys.stdin.read() if stat.S_ISFIFO(os.fstat(0).st_mode) else ""
    order = {
        "argv": argv,
        "cwd": str(os.getcwd()),  # noqa: PTH109 - the text as it is
        "env": dict(os.environ),
        "stdin": stdin,
    }
    with (
        socket.create_connection(("127.0.0.1", port)) as connection,
        connection.makefile("rb") as reader,
    ):
        signal.signal(
            signal.SIGTERM, lambda *_: connection.sendall(_TERMINATE)
        )
        connection.sendall(json.dumps(order).encode() + b"\n")
        while head := reader.read(_FRAME.size):
            kind, length = _FRAME.unpack(head)
            data = reader.read(length)
            if kind == _EXIT:
                status = int(data)
                return 128 - status if status < 0 else status
            os.write(kind, data)
    return 255


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    sys.exit(run(int(sys.argv[1]), sys.argv[2:]))

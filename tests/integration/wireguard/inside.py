"""Calls functions inside of a node, in a process of its own that needs no second import of everything."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from network.node import Node

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_LIBC = ctypes.CDLL(None, use_errno=True)
_CAPABILITY_VERSION_3 = 0x20080522


class Inside:
    """A context manager: `inside(function, *args)` runs it in the node's namespaces, and raises what it raises.

    The function and what it takes and returns must be picklable. `powerless`: without any capability. It ends
    with this process.
    """

    def __init__(self, node: Node, *, powerless: bool = False) -> None:
        self._node, self._powerless = node, powerless

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("fork")
        self._connection, child = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(child, self._connection, self._node.pid, self._powerless),
            daemon=True,
        )
        self._process.start()
        child.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def start(
        self,
        function: Callable[Parameters, object],
        *args: Parameters.args,
        **named: Parameters.kwargs,
    ) -> None:
        """Call a function that goes on until the end; nothing else is called here any more."""
        self._connection.send((function, args, named))

    def __call__(
        self,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        self._connection.send((function, args, named))
        if not self._connection.poll(60):
            raise TimeoutError(
                f"{function} inside of {self._node.name} did not return"
            )
        result, error = self._connection.recv()
        if error is not None:
            raise error
        return cast("Result", result)


def _serve(
    connection: Connection, parents: Connection, pid: int, powerless: bool
) -> None:
    parents.close()  # so that the end of the parent is the end of the pipe
    _enter(pid)
    if powerless:
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        _checked(_LIBC.capset(header, (ctypes.c_uint32 * 6)()))
    with suppress(EOFError):
        while True:
            function, args, named = connection.recv()
            result: Any = None
            error: Exception | None = None
            try:
                result = function(*args, **named)
            except Exception as raised:
                error = raised
            connection.send((result, error))


def _enter(pid: int) -> None:
    folder = Path("/proc", str(pid), "ns")
    # In another user namespace the rights to enter the others begin with that one.
    kinds = [
        kind
        for kind in ("user", "net", "mnt")
        if (folder / kind).readlink() != _own(kind)
    ]
    opened = [os.open(folder / kind, os.O_RDONLY) for kind in kinds]
    where = Path.cwd()
    for number in opened:
        _checked(_LIBC.setns(number, 0))
        os.close(number)
    os.chdir(where)


def _own(kind: str) -> Path:
    return Path("/proc/self/ns", kind).readlink()


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

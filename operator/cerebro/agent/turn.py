"""Whose turn it is on a node: of the agents that share the node's Leases one
acts, and the next stands by until that one has ended (rule E18).

All of them are one holder to the API server, so no Lease keeps them apart. What
does is an abstract Unix socket, which the kernel gives to one process of a
network namespace, and takes from it in whatever way that ends.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import socket

from cerebro.runtime.loop import wait_for_wake

_LOOK = 0.02
"""Seconds between two tries of an agent that stands by: somebody may wait for
an answer that only the next agent can give.
"""

log = logging.getLogger(__name__)


class Turn:
    """The turn of one agent; taken once, and kept until the process ends: a
    thread that nobody can stop may write for as long.
    """

    def __init__(self, server: str, namespace: str, node: str) -> None:
        """`server` is the URL of the API server, `namespace` that of the
        Leases, `node` the name under which the agent holds them.
        """
        holder = "\n".join((server, namespace, node)).encode()
        digest = hashlib.sha256(holder).hexdigest()
        self._address = f"\0cerebro-agent-{digest[:32]}"
        self._descriptor: int | None = None
        """The socket; no object, which would be closed when it is forgotten."""

    async def take(self, stop: asyncio.Event) -> bool:
        """Wait until no other agent has the turn, and take it; return False
        when `stop` came first. Raises OSError for what no waiting helps.
        """
        told = False
        while not stop.is_set():
            if self._taken():
                return True

            if not told:
                told = True
                log.info("another agent of this node acts: standing by")

            await wait_for_wake(stop, _LOOK)

        return False

    def close(self) -> None:
        """Let the next agent act before this process ends."""
        if self._descriptor is not None:
            os.close(self._descriptor)

        self._descriptor = None

    def _taken(self) -> bool:
        """Try to take the turn; return whether it is ours."""
        attempt = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            attempt.bind(self._address)
        except OSError as error:
            attempt.close()
            if error.errno != errno.EADDRINUSE:
                raise

            return False

        self._descriptor = attempt.detach()

        return True

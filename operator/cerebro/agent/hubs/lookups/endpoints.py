"""Addresses of the host names that Peers dial; they are remembered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection

from cerebro.domain.conditions import Obstacle
from cerebro.resources.reasons import NOT_RESOLVED
from cerebro.wireguard.model import Endpoint
from cerebro.wireguard.networks import literal_endpoint, split_endpoint

_AT_ONCE = 16
"""Names that are resolved at the same time."""

_RESOLVE = 5.0
"""Seconds for one host name."""

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class Endpoints:
    """Addresses of the host names that Peers of one Hub dial.

    `changed` is called when an address came or changed, or cannot be had.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._known: dict[str, Endpoint | Obstacle] = {}
        """By spec.endpoint, the address or why there is none."""
        self._lookups: dict[str, asyncio.Task[None]] = {}
        """By spec.endpoint, the look-ups that are under way."""
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def look_up(
        self, endpoints: Collection[str], *, refresh: bool
    ) -> tuple[dict[str, Endpoint], dict[str, Obstacle]]:
        """Return by spec.endpoint the addresses to dial that are known, and
        why others are not.

        All other endpoints are forgotten. `refresh` looks all names up anew
        meanwhile. A name that was known once keeps its address until another
        one is known.
        """

        self._known = {
            text: known
            for text, known in self._known.items()
            if text in endpoints
        }

        addresses: dict[str, Endpoint] = {}
        troubles: dict[str, Obstacle] = {}
        for text in endpoints:
            known = self._resolve(text, refresh=refresh)
            if isinstance(known, Obstacle):
                troubles[text] = known
            elif known is not None:
                addresses[text] = known

        return addresses, troubles

    def close(self) -> None:
        """Look no more up."""
        for task in self._lookups.values():
            task.cancel()

    def _resolve(
        self, endpoint: str, *, refresh: bool
    ) -> Endpoint | Obstacle | None:
        """Return what is known of an endpoint now; begin a look-up if one is
        due.
        """

        try:
            literal = literal_endpoint(endpoint)
        except ValueError as error:  # of a Peer that an older schema let in
            return Obstacle(NOT_RESOLVED, f"spec.endpoint: {error}")

        if literal is not None:
            return literal

        due = refresh or endpoint not in self._known
        if due and endpoint not in self._lookups:
            task = asyncio.create_task(
                self._look_up(endpoint), name="resolve a peer's endpoint"
            )

            self._lookups[endpoint] = task

        return self._known.get(endpoint)

    async def _look_up(self, endpoint: str) -> None:
        """Ask the node's name servers; note what they answer, and call
        `changed` if it is news.
        """

        host, port = split_endpoint(endpoint)
        addresses: list[Endpoint] = []
        try:
            async with self._gate, asyncio.timeout(_RESOLVE):
                addresses = await addresses_of(host, port)
        except (
            OSError,
            TimeoutError,
            UnicodeError,
        ):  # the last for what can be no name, such as a..b
            pass
        finally:
            self._lookups.pop(endpoint, None)

        known = self._known.get(endpoint)
        if addresses and known not in addresses:
            self._known[endpoint] = min(addresses)
            self._changed()
        elif not addresses and known is None:
            self._known[endpoint] = _not_resolved(endpoint, host)
            self._changed()


async def addresses_of(host: str, port: int) -> list[Endpoint]:
    """Return the IP addresses of a host name, each with the port. Raises
    OSError, UnicodeError.
    """
    loop = asyncio.get_running_loop()
    answers = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)

    return [
        (str(at[0]), int(at[1]))
        for family, *_, at in answers
        if family in _FAMILIES
    ]


def _not_resolved(endpoint: str, host: str) -> Obstacle:
    message = (
        f"spec.endpoint {endpoint} is not dialled: the node finds no address of {host}; correct the name, or "
        "the node's name servers. It is looked up again at every resync of the Hub"
    )

    return Obstacle(NOT_RESOLVED, message)

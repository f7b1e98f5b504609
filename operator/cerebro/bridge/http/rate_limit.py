"""How often a caller may call (F7): fixed windows in memory, bounded; and who
the caller is behind a proxy.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from cerebro.bridge.errors import ApiError
from cerebro.resources.addresses import parse_address, parse_network

MAX_CALLERS = 10_000
_OWN_BITS = 64
"""Leading bits of an IPv6 address that tell one caller from another: the rest
each caller chooses.
"""


class Limiter:
    """Counts the calls of each key in windows of `window` seconds.

    At MAX_CALLERS keys, the key that was counted longest ago is forgotten.
    """

    def __init__(self, limit: int, window: float) -> None:
        self._limit = limit
        self._window = window
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, key: str, now: float) -> None:
        """Count a call at monotonic time `now`.

        Raises ApiError 429 `rate_limited`, with the time to wait, if the
        window has `limit` calls already.
        """

        began, count = self._counts.get(key, (now, 0))
        if now - began >= self._window:
            began, count = now, 0

        self._counts[key] = (began, count + 1)
        self._counts.move_to_end(key)

        if len(self._counts) > MAX_CALLERS:
            self._counts.popitem(last=False)

        if count >= self._limit:
            wait = max(1, math.ceil(began + self._window - now))
            raise ApiError(
                429,
                "rate_limited",
                f"too many calls: try again in {wait} s",
                retry_after=wait,
                retryInMs=wait * 1000,
            )


class Callers:
    """Tells callers apart by address; a forwarded address counts only from a
    trusted proxy.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = [parse_network(network) for network in trusted]

    def address(self, peer: str, forwarded: str) -> str:
        """Return the caller's address.

        `peer` is the address of the connection, `forwarded` the header
        X-Forwarded-For. The caller is the last address in that header that no
        trusted proxy wrote; without a trusted proxy it is the peer. An
        IPv4-mapped IPv6 address is the IPv4 address.
        """
        hops = [part.strip() for part in forwarded.split(",")]
        address = _plain(peer)
        for hop in reversed(hops):
            if not hop:
                continue

            if not self.trusts(address):
                break

            address = _plain(hop)

        return address

    def network(self, peer: str, forwarded: str) -> str:
        """Return the network that a caller surely has to itself: its IPv4
        address, or the /64 of its IPv6 address.
        """
        address = self.address(peer, forwarded)
        try:
            parsed = parse_address(address)
        except ValueError:
            return address

        if parsed.version == 4:
            return address

        return str(parse_network(f"{parsed}/{_OWN_BITS}", strict=False))

    def trusts(self, address: str) -> bool:
        """Return whether an address is a trusted proxy's."""
        try:
            parsed = parse_address(address)
        except ValueError:
            return False

        return any(parsed in network for network in self._trusted)


def _plain(address: str) -> str:
    """Return an address in its one spelling; a text that is none as it is."""
    try:
        return str(parse_address(address))
    except ValueError:
        return address

"""How often one caller may call (F7): fixed windows in memory, bounded; and who the caller is behind a
proxy."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Sequence

from cerebro.bridge.errors import ApiError

MAX_CALLERS = 10_000


class Limiter:
    """Counts calls per key in windows of `window` seconds; the callers counted longest ago are forgotten
    first."""

    def __init__(self, limit: int, window: float) -> None:
        self._limit = limit
        self._window = window
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, key: str, now: float) -> None:
        """Count a call at monotonic time `now`. Raises ApiError 429 `rate_limited` when it is one too
        many."""
        began, count = self._counts.get(key, (now, 0))
        if now - began >= self._window:
            began, count = now, 0
        self._counts[key] = (began, count + 1)
        self._counts.move_to_end(key)
        if len(self._counts) > MAX_CALLERS:
            self._counts.popitem(last=False)
        if count >= self._limit:
            wait = max(1, round(began + self._window - now))
            raise ApiError(
                429, "rate_limited", f"too many calls: try again in {wait} s", retryInMs=wait * 1000
            )


class Callers:
    """Tells callers apart by address; a forwarded address counts only from a trusted proxy."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = [ipaddress.ip_network(network) for network in trusted]

    def address(self, peer: str, forwarded: str) -> str:
        """Give the caller's address: the last one in X-Forwarded-For that no proxy of ours wrote, else the
        peer's."""
        address = peer
        for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            if not self._is_trusted(address):
                break
            address = hop
        return address

    def _is_trusted(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)

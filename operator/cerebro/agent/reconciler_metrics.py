"""The old relay's counters of its WireGuard reconciler, under their old names:
the agent's loops of Hubs do that work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import REGISTRY
from prometheus_client.core import Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

_MEANINGS = {
    "added": "Peers put on an interface.",
    "add_error": "Peers that an interface refused to take.",
    "removed": "Peers taken off an interface.",
    "remove_error": "Peers that an interface refused to let go.",
}


class ReconcilerCounters(Collector):
    """Counters whose names do not end in `_total`, which those of
    prometheus_client always do.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, changes: Mapping[str, int]) -> None:
        """Count changes of peers, by the names in `_MEANINGS`."""
        self._counts.update(changes)

    def describe(self) -> Sequence[Metric]:
        """Return nothing: the metrics are named when they are collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield a family for each counter."""
        for name, text in _MEANINGS.items():
            value = self._counts[name]
            yield UnknownMetricFamily(f"relay_reconciler_{name}", text, value)


RECONCILER = ReconcilerCounters()
"""Those of this process."""

REGISTRY.register(RECONCILER)

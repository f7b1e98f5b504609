"""The bridge's metrics: the old relay's under their old names, and ours beside
them.

The rest of the bridge imports from here.
"""

from cerebro.bridge.metrics.counts import Metrics, StoreFigures
from cerebro.bridge.metrics.old_counters import AUTHORIZE, RESYNC, REVOKE
from cerebro.bridge.metrics.watched import WatchedObjects

__all__ = [
    "AUTHORIZE",
    "RESYNC",
    "REVOKE",
    "Metrics",
    "StoreFigures",
    "WatchedObjects",
]

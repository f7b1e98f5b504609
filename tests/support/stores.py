"""Makes stores of the bridge, for tests that run over each implementation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cerebro.bridge.store.base import BridgeStore
from cerebro.bridge.store.sqlite.store import SqliteStore

StoreFactory = Callable[[], BridgeStore]
"""Makes a store that is not open yet; all stores of a factory have the same content."""


def sqlite_factory(folder: Path) -> StoreFactory:
    return lambda: SqliteStore(folder / "folder" / "relay.db")


FACTORIES = {"sqlite": sqlite_factory}

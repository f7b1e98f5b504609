"""Unit tests of the bridge: pure functions, and its store in a temporary folder.

No HTTP, no Kubernetes, no router. What needs a store gets each implementation of it in turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cerebro.bridge.store.base import BridgeStore
from support.stores import FACTORIES, StoreFactory


@pytest.fixture(params=list(FACTORIES.values()), ids=list(FACTORIES))
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFactory:
    factory: StoreFactory = request.param(tmp_path)
    return factory


@pytest.fixture
async def store(make_store: StoreFactory) -> AsyncIterator[BridgeStore]:
    opened = make_store()
    await opened.open()
    yield opened
    await opened.close()

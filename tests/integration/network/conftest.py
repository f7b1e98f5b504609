"""Real: namespaces, cables, forwarders. Nothing is faked. Where namespaces cannot be made, only CI fails."""

from __future__ import annotations

import os

import pytest

from network.node import supported


@pytest.fixture(scope="session", autouse=True)
def namespaces() -> None:
    """What all tests here need."""
    reason = supported()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)

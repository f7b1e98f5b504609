"""Real: namespaces, cables, WireGuard. Nothing is faked; the judge is `wg`, which shares no code with us.

`CEREBRO_TEST_WIREGUARD` = Userspace (wireguard-go, the default) or Kernel, which `tests/integration/vm` runs in a
virtual machine. Where namespaces cannot be made, only CI fails.
"""

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


@pytest.fixture(scope="session")
def implementation() -> str:
    """Which WireGuard carries the interfaces: Userspace or Kernel."""
    return os.environ.get("CEREBRO_TEST_WIREGUARD", "Userspace")

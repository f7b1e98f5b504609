"""What every store promises, kept by a real Redis: the same cases that run over the SQLite file."""

from unit.bridge.store.test_access import *  # noqa: F403
from unit.bridge.store.test_base import *  # noqa: F403 - its tests are these tests
from unit.bridge.store.test_events import *  # noqa: F403

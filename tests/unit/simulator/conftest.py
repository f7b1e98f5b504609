"""Routers without a listener: tables, hotspot and clients alone. Nothing is faked, nothing is sent."""

import pytest

from simulator.options import RouterOptions
from simulator.router import Router


@pytest.fixture
def router() -> Router:
    made = Router(RouterOptions("r1"))
    made.up = True
    return made

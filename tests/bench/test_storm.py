"""The large storm: fifty routers, two thousand Sessions. The small form is in tests/integration/device.

CEREBRO_TEST_SEED chooses another one; CEREBRO_BENCH_STORM_SECONDS how long it lasts.
"""

from __future__ import annotations

import os

import pytest

from support.live_devices import live_devices
from support.storm import Storm

SEED = int(os.environ.get("CEREBRO_TEST_SEED", "12"))
SECONDS = float(os.environ.get("CEREBRO_BENCH_STORM_SECONDS", "120"))
A_PASS = 12.0
"""As in the small form."""


@pytest.mark.timeout(900)
async def test_a_storm_over_fifty_routers_and_two_thousand_sessions() -> None:
    async with live_devices() as live:
        storm = Storm(
            live, routers=50, sessions=2000, seconds=SECONDS, seed=SEED
        )
        storm.look_every = 1.0
        try:
            await storm.run()
        finally:
            print(f"\n{storm.figures()}")

        assert storm.wrong == []
        assert storm.rows_too_many() == []
        assert storm.longest_lawless < A_PASS

"""A small storm (tests/bench has the large form): Sessions come and go while routers are cut, stalled, rebooted and
edited. At the end all is equal, and nobody was online for longer than a pass takes without a Session.

Real: the loops, the client, sockets, simulated routers. Faked: the API server, see `live_devices`.
"""

from __future__ import annotations

import os

import pytest

from support.live_devices import live_devices
from support.storm import Storm

SEED = int(os.environ.get("CEREBRO_TEST_SEED", "7"))
A_PASS = 12.0
"""Seconds that a pass may take until it is given up and made again over a fresh connection: the client's eight seconds
of silence, the breaker's one, and a pass.
"""


@pytest.mark.timeout(240)
async def test_a_storm_ends_in_equality_and_lets_nobody_in() -> None:
    async with live_devices() as live:
        storm = Storm(live, routers=4, sessions=60, seconds=20, seed=SEED)
        try:
            await storm.run()
        finally:
            print(storm.figures())

        assert storm.wrong == []
        assert storm.rows_too_many() == []
        assert storm.longest_lawless < A_PASS
        assert sum(storm.faults.values()) > 20

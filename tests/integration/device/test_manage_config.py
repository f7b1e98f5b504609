"""`manageConfig` on routers that are reached through the very tunnel that it changes: confirmed, or undone by the
router itself.

Real: the loops of the Devices, the client, sockets, simulated routers whose own rows decide whether the hub gets
through. Faked: the API server and the tunnel's packets, see `live_devices`.
"""

from __future__ import annotations

import pytest

from integration.device.managed import (
    a_router,
    armed,
    has_device,
    has_hub,
    rows,
)
from support.live_devices import live_devices
from support.tunnels import Carried

KINDS = ["pasted", "pasted+drop", "relay", "relay+drop", "pasted+listed"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_change_that_keeps_the_way_is_confirmed(kind: str) -> None:
    async with live_devices(Carried()) as live:
        router = await a_router(live, "r", kind)
        has_hub(live, router)
        has_device(live, router)
        await live.until_ready("Device", "r", "Equal")
        await live.until(lambda: not armed(router), "the undo is taken away")
        found = rows(router)
        (rule,) = (
            row
            for row in found["/ip/firewall/filter"]
            if row.get("comment") == "cerebro:main:tunnel"
        )
        assert rule["src-address"] == "10.8.0.1"
        assert found["/ip/service"][5]["address"]
        assert "managed-by-relay" not in str(found)

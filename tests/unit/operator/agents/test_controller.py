"""How the operator looks at the agents' Leases (E12). The API server is a few lines here; nothing sleeps."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from cerebro.kube.cache.store import Store
from cerebro.operator.agents.controller import AgentWatch
from cerebro.resources import DEVICE
from support.events import Events


class Server:
    """Holds one Lease that nobody renews, and remembers what was applied."""

    clock_skew = 0.0

    def __init__(self) -> None:
        self.away = False
        self.applied: list[dict[str, Any]] = []

    async def get_lease(self, _: str, __: str) -> dict[str, Any]:
        if self.away:
            await asyncio.Event().wait()
        return {
            "metadata": {"resourceVersion": "1"},
            "spec": {"holderIdentity": "node-1"},
        }

    async def apply(
        self,
        _: Any,
        namespace: str,
        name: str,
        manifest: dict[str, Any],
        **__: Any,
    ) -> Any:
        self.applied.append(manifest)
        return body(namespace, name, "2")


def body(namespace: str, name: str, version: str) -> dict[str, Any]:
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": "u",
        "generation": 1,
        "resourceVersion": version,
    }
    return {
        "metadata": meta,
        "spec": {
            "api": {
                "credentialsSecretRef": {"name": "c"},
                "address": "10.0.0.1",
            }
        },
    }


@pytest.mark.parametrize("outage", [False, True])
async def test_e12_a_look_that_was_broken_off_in_an_outage_begins_all_ages_anew(
    monkeypatch: pytest.MonkeyPatch, outage: bool
) -> None:
    """Losing the Lease breaks the look off before the API server's silence is an error."""
    server, store, now = Server(), Store(), 1000.0
    events = Events()
    monkeypatch.setattr(
        "cerebro.operator.agents.controller.time.monotonic", lambda: now
    )
    store.deliver(DEVICE, None, body("ns", "r1", "1"))
    watch = AgentWatch(
        server,  # type: ignore[arg-type]
        store,
        events.as_recorder(),
        namespace="ns",
        namespaces=("ns",),
        lost_after=60,
    )
    await watch.look()
    if outage:
        server.away = True
        broken = asyncio.ensure_future(watch.look())
        await asyncio.sleep(0)
        broken.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await broken
        server.away = False
    now = 1070.0
    await watch.look()
    assert bool(server.applied) is not outage
    now = 1130.0
    await watch.look()
    assert server.applied, (
        "an agent that stays silent after the outage is lost"
    )
    assert set(events.reasons) == {"AgentLost"}

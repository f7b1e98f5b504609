"""Which router is meant by a request that names none (F8).

The bridge's SQLite store is real, in a temporary folder.
"""

from __future__ import annotations

from typing import cast

import pytest

from cerebro.bridge.commands.devices import CommandDevices
from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Client, Hello
from cerebro.bridge.orders.decide import Known, decide
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.orders.writes import Create
from cerebro.bridge.requests.commands import Place, place
from cerebro.bridge.store.base import BridgeStore, Placement
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.objects import Listing
from cerebro.resources import DEVICE, SESSION
from cerebro.runtime.clock import now_ms
from support.orders import IP, MAC, NAMESPACE, NOW, PHONE, at, device, order
from support.orders import session as as_stored

ROUTERS = ("router-1", "router-2")


class World:
    """Two routers and a store."""

    def __init__(self, store: BridgeStore) -> None:
        self.store = store
        self._objects = Store()
        sessions = Sessions(cast(KubeApi, None), self._objects, NAMESPACE)
        self.devices = CommandDevices(sessions, store)
        for name in ROUTERS:
            body = device(name).wire()
            body["metadata"] |= {"resourceVersion": "1", "uid": name}
            self._objects.deliver(DEVICE, "MODIFIED", body)
        for kind in (DEVICE, SESSION):
            uids = {name: name for name in ROUTERS if kind is DEVICE}
            self._objects.reconcile_listing(
                kind, NAMESPACE, Listing(uids, 1), self._objects.sequence
            )

    async def hello(self, router: str, asked: float = 0) -> None:
        hello = Hello(
            mik_id=router,
            token="t",
            client=Client(mac=MAC, ip=IP),
            requested_at=at(asked),
        )
        await self.store.note_hello(hello, now_ms())

    async def grant(self, router: str) -> None:
        """Let a live Session be there that was made for the token."""
        asked = order(token="t")
        write = decide(NAMESPACE, asked, PHONE, Known(device(router), NOW))
        assert isinstance(write, Create)
        body = as_stored(dict(write.body)).wire()
        body["metadata"] |= {"resourceVersion": "2", "uid": write.name}
        self._objects.deliver(SESSION, "MODIFIED", body)
        self.store.note_grant_soon(
            asked, Placement(router, write.name), now_ms()
        )

    async def found(self, wanted: Place) -> str:
        return (await self.devices.find(wanted)).name


@pytest.fixture
def world(store: BridgeStore) -> World:
    return World(store)


async def test_f8_the_router_of_the_last_hello_is_meant(world: World) -> None:
    wanted = place({"deviceToken": "t"})
    with pytest.raises(ApiError) as caught:
        await world.found(wanted)
    assert caught.value.code == "mikId_required"
    await world.hello("router-1")
    await world.hello("router-2", asked=1)
    assert await world.found(wanted) == "router-2"
    assert await world.found(place({"sid": "t"})) == "router-2"
    assert await world.found(place({"sid": "t", "mikId": "ROUTER-1"})) == (
        "router-1"
    )


async def test_f8_a_live_session_counts_before_a_hello(world: World) -> None:
    await world.grant("router-1")
    await world.hello("router-2")
    assert await world.found(place({"deviceToken": "t"})) == "router-1"

"""Orders that are asked for once more while their access is on the router (A1, A4, F1).

The bridge's store is real, in a temporary folder; the API server is a few lines over a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client, Intent
from cerebro.bridge.orders import repeats as module
from cerebro.bridge.orders.repeats import Repeats
from cerebro.bridge.orders.sessions import Written
from cerebro.bridge.store.base import BridgeStore
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.objects import Listing
from cerebro.resources import DEVICE, SESSION
from cerebro.runtime.clock import monotonic
from support.order_world import World
from support.orders import MAC_2, NAMESPACE, at, order, revoke


class Asked(World):
    """A bridge that knows all objects, and answers what is open already."""

    def __init__(self, store: BridgeStore) -> None:
        super().__init__(store)
        self.lane_is_free = True
        self.full = False
        self.repeats = Repeats(
            self.sessions,
            store,
            is_free=lambda *_: self.lane_is_free,
            submit=self.submit,
            windows=GrantWindows(),
        )
        self.handed_in: list[Authorize] = []
        self._received -= 1000  # what is carried out came before what is asked
        for kind in (DEVICE, SESSION):
            uids = {
                stored.uid: stored.name
                for stored in self.objects.all(kind, NAMESPACE)
            }
            self.objects.reconcile_listing(
                kind, NAMESPACE, Listing(uids, 100), self.objects.sequence
            )

    async def submit(self, intent: Authorize) -> Written:
        if self.full:
            raise ApiError(503, "store_unavailable", "the disk is full")
        self.handed_in.append(intent)
        return await self.do(intent)

    async def open(self, asked: Authorize) -> str:
        """Carry an order out, and let the router have it; return the Session's name."""
        done = await self.do(asked)
        name = done.targets[0].name
        self.router_has(name)
        return name

    def router_has(self, name: str) -> None:
        """Let the agent say that the Session as it now is is on the router."""
        body = self.server.objects[name]
        observed = body["metadata"]["generation"]
        enforced = {
            "type": "Enforced",
            "status": "True",
            "reason": "Enforced",
            "observedGeneration": observed,
        }
        status = {
            "phase": "Active",
            "observedGeneration": observed,
            "authorizedAt": "2026-01-02T12:00:00Z",
            "conditions": [enforced],
        }
        self.objects.deliver(
            SESSION, "MODIFIED", self.server.put({**body, "status": status})
        )

    async def ask(self, again: Authorize) -> bool:
        """Ask for an order; return whether it was answered at once."""
        return await self.repeats.open_already(again) is not None

    async def note(self) -> None:
        await self.repeats.flush()


@pytest.fixture
def bridge(store: BridgeStore) -> Asked:
    return Asked(store)


async def test_a1_what_is_open_is_answered_at_once_and_noted_once_for_all_calls(
    bridge: Asked,
) -> None:
    name = await bridge.open(order())
    before = bridge.server.objects[name]
    for asked in (10, 20, 30):
        assert await bridge.ask(order(asked=asked))
    assert bridge.server.objects[name] is before
    await bridge.note()
    assert [each.requested_at for each in bridge.handed_in] == [at(30)]
    assert bridge.spec(name)["requestedAt"] == "2026-01-02T12:00:30Z"
    await bridge.note()
    assert len(bridge.handed_in) == 1


async def test_a1_what_is_noted_is_nothing_that_a_router_must_have_first(
    bridge: Asked,
) -> None:
    name = await bridge.open(order())
    for asked in (10, 20):
        assert await bridge.ask(order(asked=asked))
        await bridge.note()
    assert bridge.server.objects[name]["metadata"]["generation"] == 3
    assert await bridge.ask(order(asked=30))


def changed(**fields: Any) -> Callable[[], Authorize]:
    return lambda: order(asked=10).model_copy(update=fields)


@pytest.mark.parametrize(
    "again",
    [
        changed(client=Client(mac=MAC_2)),
        changed(expires_at=at(9000)),
        changed(order_id="P-2"),
        changed(mik_id="nowhere"),
    ],
    ids=["moved", "prolonged", "not open", "unknown router"],
)
async def test_a1_whatever_changes_anything_takes_the_long_way(
    bridge: Asked, again: Callable[[], Authorize]
) -> None:
    await bridge.open(order(duration=timedelta(hours=1)))
    assert not await bridge.ask(again())
    await bridge.note()
    assert not bridge.handed_in


async def test_a7_what_the_router_lacks_is_waited_for(bridge: Asked) -> None:
    await bridge.do(order())
    assert not await bridge.ask(order(asked=10))


async def test_f2_what_came_before_in_its_lane_goes_first(
    bridge: Asked,
) -> None:
    await bridge.open(order())
    bridge.lane_is_free = False
    assert not await bridge.ask(order(asked=10))


async def test_a4_a_revoke_that_is_kept_is_decided_about_the_long_way(
    bridge: Asked, store: BridgeStore
) -> None:
    await bridge.open(order())
    late = revoke("P-1", asked=-500)
    await store.keep_revoke(late, Client(), "router-1", 0)
    assert not await bridge.ask(order(asked=10))


async def test_a4_a_late_revoke_ends_nothing_that_was_asked_for_again_since(
    bridge: Asked,
) -> None:
    """Also before that is noted: the order came at 0 and 200, the revoke of -20 comes last."""
    name = await bridge.open(order())
    assert await bridge.ask(order(asked=200))
    late: Intent = revoke("P-1", asked=-20)
    with pytest.raises(ApiError) as caught:
        await bridge.do(late)
    assert caught.value.code == "asked_later"
    assert caught.value.extra["requestedAt"] == "2026-01-02T12:03:20Z"
    assert not bridge.spec(name).get("revoked")


async def test_a1_what_was_ended_before_it_was_noted_is_not_opened_again(
    bridge: Asked,
) -> None:
    """A person revokes the Session within that moment."""
    name = await bridge.open(order())
    assert await bridge.ask(order(asked=10))
    body = bridge.server.objects[name]
    ended = {**body, "spec": {**body["spec"], "revoked": True}}
    bridge.objects.deliver(SESSION, "MODIFIED", bridge.server.put(ended))
    await bridge.note()
    assert bridge.handed_in
    assert bridge.spec(name)["revoked"]


async def test_an_order_that_is_asked_for_all_the_time_is_noted_now_and_then(
    bridge: Asked,
) -> None:
    await bridge.open(order())
    for asked in (10, 20):
        assert await bridge.ask(order(asked=asked))
        due = bridge.repeats._due(monotonic())
        await bridge.repeats._hand_in(due)
    assert [each.requested_at for each in bridge.handed_in] == [at(10)]
    assert bridge.repeats._due(monotonic() + module.PAUSE)


async def test_f1_what_the_store_cannot_take_is_handed_in_again(
    bridge: Asked,
) -> None:
    await bridge.open(order())
    assert await bridge.ask(order(asked=10))
    bridge.full = True
    with pytest.raises(ApiError):
        await bridge.note()
    bridge.full = False
    await bridge.note()
    assert len(bridge.handed_in) == 1


async def test_a_further_one_than_may_wait_takes_the_long_way(
    bridge: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_NOTES", 1)
    await bridge.open(order())
    await bridge.open(order("P-2"))
    assert await bridge.ask(order(asked=10))
    assert not await bridge.ask(order("P-2", asked=10))
    assert await bridge.ask(order(asked=20))

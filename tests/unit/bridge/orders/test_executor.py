"""How intents are carried out where they meet each other, or what is there already (A1, A4, A6, A10, B9).

The bridge's SQLite store is real, in a temporary folder; the API server is a few lines over a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client, Hello, Intent, Payment
from cerebro.bridge.store.base import DAY, BridgeStore, Entry
from cerebro.bridge.store.events import NewEvent
from cerebro.resources import DEVICE, SESSION, format_time
from cerebro.runtime.clock import now_ms
from support.order_world import Body, World
from support.orders import (
    MAC,
    MAC_2,
    NAMESPACE,
    NOW,
    at,
    by_hand,
    device,
    order,
    revoke,
)

FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def world(store: BridgeStore) -> World:
    return World(store)


def by_order(order_id: str, asked: float) -> Intent:
    """A revoke that names the order only: it waits in another lane than the client's orders."""
    return revoke(order_id, asked=asked, client=Client())


async def test_a4_a_revoke_that_comes_while_its_session_is_being_made_still_ends_it(
    world: World,
) -> None:
    world.server.before_create = partial(world.do, by_order("P-1", asked=5))
    with pytest.raises(ApiError) as caught:
        await world.do(order("P-1", asked=0))
    assert caught.value.code == "revoked_later"
    ((name, made),) = world.server.objects.items()
    assert (made["spec"]["revoked"], made["spec"]["revokedAt"]) == (
        True,
        format_time(at(5)),
    ), name


async def test_a4_an_older_revoke_that_comes_meanwhile_ends_nothing(
    world: World,
) -> None:
    world.server.before_create = partial(world.do, by_order("P-1", asked=-500))
    done = await world.do(order("P-1", asked=0))
    assert not world.spec(done.targets[0].name).get("revoked")


async def test_a4_within_the_clock_window_a_revoke_that_came_later_ends(
    world: World,
) -> None:
    """Case T6: also carried out again after a restart, and by another bridge, in whatever order."""
    made, ended = order("P-1", asked=0), by_order("P-1", asked=-5)
    done = await world.do(made)
    await world.do(ended)
    assert world.spec(done.targets[0].name)["revoked"]
    with pytest.raises(ApiError, match="revoked after"):
        await world.do_again(1)
    await world.do(made)
    assert not world.spec(done.targets[0].name)["revoked"]
    with pytest.raises(ApiError) as caught:
        await world.do_again(2)
    assert caught.value.code == "asked_later"
    assert not world.spec(done.targets[0].name)["revoked"]


async def test_a4_an_order_that_waited_came_when_it_came_first(
    world: World,
) -> None:
    waits = order("P-1").model_copy(update={"token": "t", "client": Client()})
    with pytest.raises(ApiError, match="no address"):
        await world.do(waits)
    await world.do(by_order("P-1", asked=-5))
    await world.do(hello(MAC))
    (released,) = world.enqueued
    with pytest.raises(ApiError, match="revoked after"):
        await world.actions.carry_out(released)


async def test_b4_a_revoke_of_an_order_of_the_older_relay_names_its_client(
    world: World,
) -> None:
    """Case T6: its router removes the rows of that client and, by their comment, of that order."""
    await world.store.note_hello(hello(MAC), now_ms())
    by_token = revoke("P-old", asked=90, client=Client())
    done = await world.do(by_token.model_copy(update={"token": "t"}))
    (record,) = (world.spec(target.name) for target in done.targets)
    assert (record["orderID"], record["revoked"]) == ("P-old", True)
    assert record["client"]["macAddress"] == MAC


async def test_a4_a_process_that_died_between_the_two_is_made_good(
    world: World,
) -> None:
    """The Session was made, the revoke was kept, and the order is carried out again."""
    await world.do(order("P-1", asked=0))
    await world.store.keep_revoke(
        revoke("P-1", asked=5), Client(), "router-1", DAY
    )
    with pytest.raises(ApiError):
        await world.do(order("P-1", asked=0))
    assert all(
        body["spec"]["revoked"] for body in world.server.objects.values()
    )


async def test_a4_a_revoke_carried_out_again_after_its_record_has_finished_ends(
    world: World,
) -> None:
    """Else the client's lane would be blocked for as long as the finished record is there."""
    asked = revoke(asked=5)
    done = await world.do(asked)
    finished = {"phase": "Revoked", "finished": True, "observedGeneration": 1}
    name = done.targets[0].name
    stored = world.server.put(
        {**world.server.objects[name], "status": finished}
    )
    world.objects.deliver(SESSION, "DELETED", stored)
    assert (await world.do(asked)).targets == ()


async def test_a4_a_revoke_of_an_order_alone_finds_the_router_where_it_lives(
    world: World,
) -> None:
    world.see_device("1", "router-2")
    labels = {"app.kubernetes.io/managed-by": "cerebro-bridge"}
    for name, where, gone in (
        ("a", "router-1", True),
        ("b", "router-2", False),
        ("c", "router-1", True),
    ):
        body = by_hand(
            name, orderID="P-1", revoked=gone, deviceRef={"name": where}
        )
        world.have(
            body.model_copy(
                update={
                    "metadata": body.metadata.model_copy(
                        update={"labels": labels}
                    )
                }
            )
        )
    asked = revoke("P-1", asked=5, client=Client()).model_copy(
        update={"mik_id": None}
    )
    await world.do(asked)
    assert world.spec("b")["revoked"]


async def test_a6_an_order_that_waits_is_released_though_the_devices_status_changed(
    world: World,
) -> None:
    waits = order("P-1").model_copy(update={"token": "t", "client": Client()})
    with pytest.raises(ApiError) as caught:
        await world.do(waits)
    assert caught.value.code == "device_unknown"
    said = hello(MAC)
    release = world.store.release

    async def slow(
        orders: Sequence[Authorize], client: Client, now: int
    ) -> list[Entry]:
        world.see_device(
            str(
                int(
                    world.objects.get(  # type: ignore[union-attr]
                        DEVICE, NAMESPACE, "router-1"
                    ).resource_version
                )
                + 1
            )
        )
        return await release(orders, client, now)

    world.store.release = slow  # type: ignore[method-assign]
    await world.do(said)
    assert [entry.intent.client for entry in world.enqueued] == [said.client]
    await world.do(said)
    assert len(world.enqueued) == 1, "released once"


async def test_a10_a_phone_that_moves_again_moves_the_session_that_stands_in(
    world: World,
) -> None:
    world.have(
        by_hand("from-git", orderID="P-1"),
        phase="Active",
        observedGeneration=1,
    )
    await world.do(order("P-1").model_copy(update={"token": "t"}))
    for mac in (MAC_2, "AA:BB:CC:DD:EE:03", MAC):
        done = await world.do(hello(mac))
        (target,) = done.targets
        assert target.name != "from-git"
        assert world.spec(target.name)["client"]["macAddress"] == mac
    assert world.spec("from-git")["client"] == {"macAddress": MAC}
    assert len(world.server.objects) == 2


async def test_b9_a_session_that_cannot_be_read_is_said_and_not_changed(
    world: World,
) -> None:
    done = await world.do(order("P-1"))
    name = done.targets[0].name
    frozen = world.server.objects[name]
    frozen["spec"]["type"] = "Unheard"
    world.objects.deliver(SESSION, "DELETED", world.server.put(frozen))
    before = world.server.objects[name]
    with pytest.raises(ApiError) as caught:
        await world.do(order("P-1", asked=1))
    assert (caught.value.status, caught.value.code) == (503, "invalid_object")
    assert "type" in caught.value.text
    assert world.server.objects[name] == before


async def test_a4_a_revoke_by_a_token_that_said_no_hello_ends_what_was_made_for_it(
    world: World,
) -> None:
    done = await world.do(order("P-1").model_copy(update={"token": "t"}))
    by_token = revoke(asked=5, client=Client()).model_copy(
        update={"token": "t"}
    )
    ended = await world.do(by_token)
    assert [target.name for target in ended.targets] == [done.targets[0].name]
    assert world.spec(done.targets[0].name)["revoked"]
    late = order("P-1", asked=-200)
    with pytest.raises(ApiError, match="revoke"):
        await world.do(late)


async def test_a7_a_revoke_by_a_token_that_nobody_knows_is_no_success(
    world: World,
) -> None:
    with pytest.raises(ApiError) as caught:
        await world.do(
            revoke(asked=5, client=Client()).model_copy(
                update={"token": "unheard"}
            )
        )
    assert (caught.value.status, caught.value.code) == (409, "device_unknown")


async def test_b2_what_a_token_said_on_another_router_ends_nobody_here(
    world: World,
) -> None:
    world.see_device("1", "router-2")
    elsewhere = hello(MAC).model_copy(update={"mik_id": "router-2"})
    await world.store.note_hello(elsewhere, now_ms())
    other = await world.do(
        order("P-9").model_copy(update={"client": Client(ip="10.5.50.10")})
    )
    with pytest.raises(ApiError, match="device token"):
        await world.do(
            revoke(asked=5, client=Client()).model_copy(update={"token": "t"})
        )
    assert not world.spec(other.targets[0].name).get("revoked")


async def test_a2_a_revoke_of_an_order_finds_it_on_whatever_router_it_is_by_now(
    world: World,
) -> None:
    world.see_device("1", "router-2")
    await world.do(order("P-1"))
    moved = await world.do(
        order("P-1", asked=1).model_copy(update={"mik_id": "router-2"})
    )
    ended = await world.do(
        revoke("P-1", asked=5)
    )  # names the first router, and the phone
    assert world.spec(moved.targets[0].name)["revoked"]
    assert moved.targets[0].name in [target.name for target in ended.targets]
    assert all(
        body["spec"]["revoked"] for body in world.server.objects.values()
    )
    assert len(world.server.objects) == 2, (
        "no record of a client without a Session is made"
    )


async def test_a6_a_first_hello_moves_the_session_that_was_made_without_one(
    world: World,
) -> None:
    done = await world.do(order("P-1").model_copy(update={"token": "t"}))
    assert await world.store.note_hello(hello(MAC_2), now_ms()) is not None
    await world.do(hello(MAC_2))
    assert world.spec(done.targets[0].name)["client"]["macAddress"] == MAC_2


async def test_a6_only_another_mac_counts_as_a_move(world: World) -> None:
    done = await world.do(order("P-1").model_copy(update={"token": "t"}))
    for number in range(2, 8):
        client = Client(mac=MAC, ip=f"10.5.50.{number}")
        await world.do(hello(MAC).model_copy(update={"client": client}))
        assert (
            world.spec(done.targets[0].name)["client"]["ipAddress"]
            == client.ip
        )
    await world.do(hello(MAC_2))
    assert world.spec(done.targets[0].name)["client"]["macAddress"] == MAC_2


async def test_a6_the_latest_word_about_the_phone_counts(world: World) -> None:
    """Case T11: an address that the order brings itself is newer than an old hello, and older than a new one."""
    for asked, expected in ((0, MAC_2), (70, MAC)):
        await world.store.note_hello(hello(MAC_2), now_ms())
        by_token = order(f"P-{asked}", asked=asked)
        done = await world.do(by_token.model_copy(update={"token": "t"}))
        client = world.spec(done.targets[0].name)["client"]
        assert client["macAddress"] == expected


async def test_a6_an_order_that_says_less_than_the_hello_takes_nothing_away(
    world: World,
) -> None:
    await world.store.note_hello(hello(MAC_2), now_ms())
    known = Client(ip=hello(MAC_2).client.ip)
    by_token = order(asked=70).model_copy(
        update={"token": "t", "client": known}
    )
    done = await world.do(by_token)
    client = world.spec(done.targets[0].name)["client"]
    assert client["macAddress"] == MAC_2


async def test_a6_a_hello_that_a_later_one_overtook_moves_nothing(
    world: World,
) -> None:
    """Case T11: another bridge may have taken the later one, and moved the Session."""
    done = await world.do(order("P-1").model_copy(update={"token": "t"}))
    later = hello(MAC_2).model_copy(update={"requested_at": at(90)})
    await world.store.note_hello(later, now_ms())
    await world.do(later)
    await world.do(hello(MAC))
    assert world.spec(done.targets[0].name)["client"]["macAddress"] == MAC_2


def hello(mac: str) -> Hello:
    return Hello(
        mik_id="router-1",
        token="t",
        client=Client(mac=mac, ip="10.5.50.10"),
        requested_at=at(60),
    )


async def test_what_no_session_can_have_is_a_final_no_that_names_the_field(
    world: World,
) -> None:
    """Tried again it would end the same way, and at last as a fault of ours."""
    with pytest.raises(
        ApiError, match=r"expiresAt: .*between 1970 and 9000"
    ) as caught:
        await world.do(order("P-1", expires_at=NOW.replace(year=9500)))
    assert (caught.value.status, caught.value.code) == (400, "invalid_payload")
    assert world.server.objects == {}


@pytest.mark.parametrize(
    ("mik_id", "status", "code"),
    [
        ("Frozen-1", 503, "invalid_object"),
        ("named-2", 503, "invalid_object"),
        ("frozen-named", 404, "MIKROTIK_NODE_NOT_FOUND"),
        ("nobody", 404, "MIKROTIK_NODE_NOT_FOUND"),
    ],
)
async def test_t10_a_device_that_cannot_be_read_is_not_a_missing_one(
    world: World, mik_id: str, status: int, code: str
) -> None:
    for name, router_id in (("frozen-named", "FROZEN-1"), ("named-2", None)):
        body = device(name).wire()
        body["metadata"] |= {"resourceVersion": "1", "uid": name}
        body["spec"] = {"routerID": router_id, "access": "newer"}
        world.objects.deliver(DEVICE, "MODIFIED", body)
    intents = (order("P-1", asked=0), revoke("P-1", asked=1))
    for intent in intents:
        with pytest.raises(ApiError) as caught:
            await world.do(intent.model_copy(update={"mik_id": mik_id}))
        assert (caught.value.status, caught.value.code) == (status, code)
    assert not world.server.objects


async def test_a_revoke_looks_at_the_sessions_of_its_client_only(
    world: World,
) -> None:
    """With what stands in their places, also if that has moved to another client since."""
    for number in range(3):
        world.have(by_hand(f"other-{number}", client={"macAddress": MAC_2}))
    world.have(by_hand("ours"))
    world.have(
        by_hand(
            "stand-in",
            client={"macAddress": MAC_2},
            supersedes={"name": "ours"},
        )
    )
    client = Client(mac=MAC, ip="10.9.9.9")
    sessions = world.sessions.of_client(client, "router-1")
    assert {each.name for each in sessions} == {"ours", "stand-in"}
    assert not world.sessions.of_client(client, "router-2")


async def test_a6_the_phone_may_come_from_a_pending_payment(
    world: World,
) -> None:
    by_token = order("P-7").model_copy(
        update={"token": "t", "client": Client()}
    )
    paid = by_token.model_copy(update={"client": Client(mac=MAC_2)})
    event = NewEvent("paid", payment=Payment("t", paid, "day"))
    await world.store.take_events([event], now_ms(), now_ms() + DAY)
    done = await world.do(by_token)
    assert done.client.mac == MAC_2
    assert await world.store.sessions_of("t") == [done.targets[0].name]
    assert await world.store.waiting_for("t", now_ms()) == []


class Checked:
    """Stands for the database: it knows the orders that are put into it."""

    def __init__(self) -> None:
        self.known: dict[str | None, Body] = {}
        self.asked: list[str | None] = []

    def concerns(self, order: Authorize) -> bool:
        return order.type == "Paid"

    async def checked(
        self, order: Authorize, router_id: str, client: Client
    ) -> Authorize:
        assert router_id == "router-1"
        self.asked.append(order.order_id)
        if order.order_id not in self.known:
            raise ApiError(402, "order_not_paid", "it is not paid")
        return order.model_copy(update=self.known[order.order_id])


@pytest.fixture
def database() -> Checked:
    return Checked()


@pytest.fixture
def checking(store: BridgeStore, database: Checked) -> World:
    return World(store, database)  # type: ignore[arg-type]


async def test_an_order_that_is_not_paid_makes_no_session(
    checking: World, database: Checked
) -> None:
    with pytest.raises(ApiError, match="not paid"):
        await checking.do(order("P-1"))
    assert not checking.server.objects
    trial = order("trial:1", type="Trial", duration=at(60) - at(0))
    await checking.do(trial)
    assert database.asked == ["P-1"], "trials are not asked about"


async def test_an_order_that_is_open_is_not_asked_about(
    checking: World, database: Checked
) -> None:
    database.known["P-1"] = {"expires_at": FUTURE}
    done = await checking.do(order("P-1", asked=0))
    name = done.targets[0].name
    assert checking.spec(name)["expiresAt"] == format_time(FUTURE)
    database.known.clear()
    await checking.do(order("P-1", asked=1))
    moved = order("P-1", asked=2).model_copy(
        update={"client": Client(mac=MAC_2), "client_first": True}
    )
    await checking.do(moved)
    assert database.asked == ["P-1"]
    assert checking.spec(name)["client"]["macAddress"] == MAC_2


async def test_more_time_and_access_anew_are_asked_about(
    checking: World, database: Checked
) -> None:
    database.known["P-1"] = {}
    await checking.do(order("P-1", expires_at=FUTURE))
    await checking.do(
        order("P-1", asked=1, expires_at=FUTURE + timedelta(days=1))
    )
    assert database.asked == ["P-1"] * 2
    await checking.do(by_order("P-1", asked=300))
    database.known.clear()
    with pytest.raises(ApiError, match="not paid"):
        await checking.do(order("P-1", asked=600))
    ((_, body),) = checking.server.objects.items()
    assert body["spec"]["revoked"]


async def test_an_order_that_is_revoked_while_it_is_carried_out_is_asked_about(
    checking: World, database: Checked
) -> None:
    """It was open when it was looked at, so nobody had asked."""
    database.known["P-1"] = {}
    await checking.do(order("P-1", asked=0))
    database.known.clear()
    known = checking.actions._known

    async def revoked_since(*arguments: Any) -> Any:
        found = await known(*arguments)
        checking.actions._known = known  # type: ignore[method-assign]
        await checking.do(by_order("P-1", asked=300))
        return found

    checking.actions._known = revoked_since  # type: ignore[assignment,method-assign]
    with pytest.raises(ApiError, match="not paid"):
        await checking.do(order("P-1", asked=600))


async def test_a6_the_database_may_know_the_phone(
    checking: World, database: Checked
) -> None:
    waits = order("P-1").model_copy(update={"token": "t", "client": Client()})
    database.known["P-1"] = {"client": Client(mac=MAC_2)}
    done = await checking.do(waits)
    assert done.client.mac == MAC_2

    database.known["P-2"] = {"expires_at": FUTURE}
    nobody = waits.model_copy(update={"order_id": "P-2"})
    with pytest.raises(ApiError) as caught:
        await checking.do(nobody)
    assert caught.value.code == "device_unknown"
    (kept,) = await checking.store.waiting_for("t", now_ms())
    assert kept.expires_at is None, "it is checked anew at its hello"

"""Calls that want a hotspot user, carried out: which Secrets are kept, and what a revoke does (A4, D2, F8)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Client, EnsureUser, Revoke
from cerebro.bridge.orders.decide import Known
from cerebro.bridge.orders.users.decide import decide_user
from cerebro.bridge.orders.writes import Create
from cerebro.bridge.store.base import BridgeStore
from cerebro.resources.naming import place_of_user
from support.order_world import World
from support.orders import NAMESPACE, NOW, at, by_hand, device, revoke, session

PLACE = place_of_user("router-1", "guest")


@pytest.fixture
def world(store: BridgeStore) -> World:
    return World(store)


async def wish(
    world: World, password: str = "one", asked: float = 0, **fields: Any
) -> EnsureUser:
    """A call whose Secret is made."""
    there = device()
    name = world.secrets.new_name(there, "guest", password)
    await world.secrets.make(there, name, "guest", password)

    return EnsureUser(
        mik_id="router-1",
        requested_at=at(asked),
        order_id=PLACE,
        user="guest",
        secret=name,
        **fields,
    )


def end(asked: float) -> Revoke:
    return revoke(PLACE, asked=asked, client=Client())


def named_secret(world: World) -> str:
    (made,) = world.server.objects.values()
    name: str = made["spec"]["hotspotUser"]["passwordSecretRef"]["name"]
    return name


async def test_d2_a_secret_that_no_session_names_goes_at_once(
    world: World,
) -> None:
    first = await wish(world)
    done = await world.do(first)
    assert named_secret(world) == first.secret
    (secret,) = world.server.secrets.values()
    assert secret["type"] == "relay.cerebro.dev/router"
    assert secret["annotations"] == {
        "relay.cerebro.dev/device": "router-1",
        "relay.cerebro.dev/address": "10.0.0.1",
    }
    assert secret["data"] == {"username": b"guest", "password": b"one"}

    again = await world.do(await wish(world, asked=1))
    assert again.targets == done.targets
    assert set(world.server.secrets) == {first.secret}

    other = await wish(world, "two", asked=2)
    changed = await world.do(other)
    assert named_secret(world) == other.secret
    assert changed.targets[0].generation == 2


async def test_f8_a_repeat_that_is_noted_does_not_wait_for_the_router(
    world: World,
) -> None:
    await world.do(await wish(world))
    noted = await world.do(await wish(world, asked=200))
    assert noted.targets[0].generation == 1
    kept = await world.do(await wish(world, asked=201))
    assert kept.targets[0].generation == 1


async def test_a4_a_revoke_that_comes_while_the_user_is_being_made_ends_it(
    world: World,
) -> None:
    wanted = await wish(world)
    world.server.before_create = partial(world.do, end(asked=5))
    with pytest.raises(ApiError) as caught:
        await world.do(wanted)
    assert caught.value.code == "revoked_later"
    (made,) = world.server.objects.values()
    assert made["spec"]["revoked"] is True
    assert not world.server.secrets


async def test_a4_a_revoke_ends_the_user_and_a_later_call_brings_it_back(
    world: World,
) -> None:
    await world.do(await wish(world))
    await world.do(end(asked=5))
    (made,) = world.server.objects.values()
    assert made["spec"]["revoked"] is True
    with pytest.raises(ApiError) as caught:
        await world.do(await wish(world, asked=-200))
    assert caught.value.code == "revoked_later"
    later = await wish(world, asked=6)
    await world.do(later)
    (made,) = world.server.objects.values()
    assert made["spec"]["revoked"] is False
    assert named_secret(world) == later.secret


async def test_a_finished_user_that_the_watch_has_no_more_is_opened_anew(
    world: World,
) -> None:
    first = decide_user(NAMESPACE, await wish(world), Known(device(), NOW))
    assert isinstance(first, Create)
    world.have(
        session(dict(first.body)),
        phase="Expired",
        finished=True,
        observedGeneration=1,
    )
    later = await wish(world, asked=10)
    await world.do(later)
    assert named_secret(world) == later.secret


async def test_d2_the_secret_of_a_refused_call_goes(world: World) -> None:
    world.have(by_hand(hotspotUser={"name": "guest"}))
    with pytest.raises(ApiError) as caught:
        await world.do(await wish(world))
    assert caught.value.code == "user_not_ours"
    assert "by-hand" in caught.value.text
    assert not world.server.secrets

"""Secrets of hotspot users that no Session needs any more are deleted (D2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from cerebro.bridge.intents import EnsureUser
from cerebro.bridge.orders.decide import Known
from cerebro.bridge.orders.users.decide import decide_user, secret_of
from cerebro.bridge.orders.writes import Create
from cerebro.bridge.store.base import BridgeStore
from cerebro.bridge.users.upkeep import UserSecretsUpkeep
from cerebro.kube.client.errors import Unavailable
from cerebro.resources import SESSION, Session
from cerebro.resources.naming import LABEL_USER_SECRET, place_of_user
from support.order_world import Body, Server, World
from support.orders import NAMESPACE, NOW, at, device, session

FINISHED = {"phase": "Expired", "finished": True, "observedGeneration": 1}


class ListingServer(Server):
    """Lists finished Sessions too; `away` as often as that."""

    away = 0

    async def list_objects(
        self, *_: object, **selectors: str
    ) -> AsyncIterator[Body]:
        assert selectors == {
            "field_selector": "status.finished=true",
            "label_selector": LABEL_USER_SECRET,
        }
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        for body in self.objects.values():
            is_marked = LABEL_USER_SECRET in body["metadata"]["labels"]
            if is_marked and body.get("status", {}).get("finished"):
                yield body


@pytest.fixture
def world(store: BridgeStore) -> World:
    return World(store, server=ListingServer())


@pytest.fixture
async def upkeep(world: World) -> AsyncIterator[UserSecretsUpkeep]:
    made = UserSecretsUpkeep(
        world.server,  # type: ignore[arg-type]
        world.sessions,
        world.secrets,
        world.objects,
    )
    task = asyncio.create_task(made.run())
    yield made
    task.cancel()


async def wish(world: World, password: str, asked: float = 0) -> EnsureUser:
    name = world.secrets.new_name(device(), "guest", password)
    await world.secrets.make(device(), name, "guest", password)
    return EnsureUser(
        mik_id="router-1",
        requested_at=at(asked),
        order_id=place_of_user("router-1", "guest"),
        user="guest",
        secret=name,
    )


async def the_session(world: World, **status: Any) -> Session:
    """A Session with a user, and its Secret."""
    write = decide_user(
        NAMESPACE, await wish(world, "one"), Known(device(), NOW)
    )
    assert isinstance(write, Create)
    there = session(dict(write.body))
    world.have(there, **status)
    return there


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("upkeep")
async def test_d2_the_secret_of_a_former_password_goes(world: World) -> None:
    await world.do(await wish(world, "one"))
    other = await wish(world, "two", asked=1)
    await world.do(other)
    await settle()
    assert set(world.server.secrets) == {other.secret}


@pytest.mark.usefixtures("upkeep")
async def test_d2_the_secret_goes_with_its_session_and_not_before(
    world: World,
) -> None:
    there = await the_session(world)
    stored = world.server.objects[there.name]
    await settle()

    # A watch that broke shows a Session as gone that is there.
    world.objects.deliver(SESSION, "DELETED", stored)
    await settle()
    assert set(world.server.secrets) == {secret_of(there)}

    world.objects.deliver(SESSION, "MODIFIED", world.server.put(stored))
    ended = world.server.put({**stored, "status": FINISHED})
    world.objects.deliver(SESSION, "DELETED", ended)
    await settle()
    assert not world.server.secrets
    labels = world.server.objects[there.name]["metadata"]["labels"]
    assert LABEL_USER_SECRET not in labels


async def test_d2_what_ended_while_no_bridge_ran_is_found_at_its_start(
    world: World,
) -> None:
    there = await the_session(world, **FINISHED)
    assert set(world.server.secrets) == {secret_of(there)}
    made = UserSecretsUpkeep(
        world.server,  # type: ignore[arg-type]
        world.sessions,
        world.secrets,
        world.objects,
    )
    task = asyncio.create_task(made.run())
    await settle()
    assert not world.server.secrets
    task.cancel()


@pytest.mark.usefixtures("upkeep")
async def test_the_secrets_of_others_stay(world: World) -> None:
    theirs = session(
        {
            "metadata": {"name": "theirs", "namespace": NAMESPACE},
            "spec": {
                "deviceRef": {"name": "router-1"},
                "hotspotUser": {
                    "name": "guest",
                    "passwordSecretRef": {"name": "a-person-s"},
                },
            },
        }
    )
    world.server.secrets["a-person-s"] = {}
    world.have(theirs)
    world.objects.deliver(
        SESSION, "DELETED", world.server.objects.pop("theirs")
    )
    await settle()
    assert set(world.server.secrets) == {"a-person-s"}

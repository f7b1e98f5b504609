"""Hotspot users over HTTP (F8): the Session, the Secret with the password, and what is told of both.

Real: the bridge as a process, the API server with the rights and policies of `deploy/`. Played: agent and router,
and the operator where it shows a finished Session to the agent again.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from cerebro.resources.naming import LABEL_USER_SECRET
from controlplane.server import ControlPlane
from integration.agent.process import Proxy
from integration.bridge.agent import Agent, condition
from integration.bridge.caller import Caller, eventually
from integration.bridge.process import BridgeProcess

PATH = "/relay/hotspot/ensure-user"
USER = {"mikId": "R1", "username": "guest", "password": "pw-of-the-guest"}
PLACE = "user:router-1:guest"
Body = dict[str, Any]


@pytest.fixture
async def router(agent: Agent) -> AsyncIterator[None]:
    """A router that does all at once."""
    work = asyncio.create_task(agent.work())
    yield
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def secrets(agent: Agent) -> dict[str, Body]:
    """The Secrets that the bridge made, as the administrator sees them."""
    listed = agent.kubectl(
        *("get", "secrets", "-o", "json"),
        *("-l", "app.kubernetes.io/managed-by=cerebro-bridge"),
    )
    items: list[Body] = json.loads(listed)["items"]
    return {item["metadata"]["name"]: item for item in items}


async def ensure(bridge: Caller, **fields: Any) -> Body:
    answer = await bridge.until_confirmed.post(PATH, {**USER, **fields})
    assert answer.status_code == 200, answer.text
    body: Body = answer.json()
    return body


@pytest.mark.usefixtures("router")
async def test_f8_a_user_from_its_making_to_its_end(
    bridge: Caller, agent: Agent
) -> None:
    made = await ensure(bridge, profile="gold")
    assert (made["created"], made["pedidoId"]) == (True, PLACE)
    assert "password" not in made, "the caller has it"
    first = agent.session(PLACE)
    user = first.spec.hotspot_user
    assert user is not None
    assert user.password_secret_ref is not None
    assert (user.name, user.profile) == ("guest", "gold")
    ((name, secret),) = secrets(agent).items()
    assert user.password_secret_ref.name == name
    assert secret["type"] == "relay.cerebro.dev/router"
    password = base64.b64decode(secret["data"]["password"]).decode()
    assert password == USER["password"]
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Device", "router-1")
    annotations = secret["metadata"]["annotations"]
    assert annotations["relay.cerebro.dev/device"] == "router-1"
    assert annotations["relay.cerebro.dev/address"] == "127.0.0.1"

    again = await ensure(bridge, profile="gold")
    assert again["created"] is False
    same = agent.session(PLACE)
    assert same.metadata.generation == first.metadata.generation
    assert set(secrets(agent)) == {name}

    await ensure(bridge, profile="silver")
    assert set(secrets(agent)) == {name}
    await ensure(bridge, profile="silver", password="another")
    await eventually(
        lambda: set(secrets(agent)) - {name} == set(secrets(agent))
    )
    (other,) = secrets(agent)
    changed = agent.session(PLACE).spec.hotspot_user
    assert changed is not None
    assert changed.password_secret_ref is not None
    assert changed.password_secret_ref.name == other

    ended = await bridge.until_confirmed.post(
        "/relay/hotspot/revoke", {"mikId": "R1", "username": "guest"}
    )
    assert ended.status_code == 200, ended.text
    assert agent.session(PLACE).spec.revoked
    await eventually(lambda: not secrets(agent))
    await eventually(
        lambda: LABEL_USER_SECRET not in agent.session(PLACE).metadata.labels
    )

    opening = asyncio.create_task(ensure(bridge))
    await eventually(lambda: not agent.session(PLACE).spec.revoked)
    agent.status("session", agent.session(PLACE).name, finished=False)
    back = await opening
    assert back["created"] is True
    assert len(secrets(agent)) == 1
    assert LABEL_USER_SECRET in agent.session(PLACE).metadata.labels


@pytest.mark.usefixtures("router")
async def test_f8_a_token_has_one_user_with_one_password(
    bridge: Caller, agent: Agent
) -> None:
    """The dashboard of 2026 sends a token and minutes, and reads what it may tell its customer."""
    call = {"identity": "R1", "token": "t-1", "minutes": 30}
    first = await bridge.until_confirmed.post(PATH, call)
    again = await bridge.until_confirmed.post(PATH, call)
    assert (first.status_code, again.status_code) == (200, 200)
    for name in ("username", "password"):
        assert first.json()[name] == again.json()[name]
    assert first.json()["mocked"] is False
    session = agent.session(first.json()["pedidoId"])
    begun, ends = session.status.authorized_at, session.status.expires_at
    assert begun is not None
    assert ends is not None
    assert round((ends - begun).total_seconds()) == 30 * 60
    assert "t-1" not in session.model_dump_json()


async def test_d2_a_password_is_in_its_secret_and_nowhere_else(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> None:
    """F1: the router is away, so the call waits in the inbox; it goes on being tried."""
    agent.make_device("router-1", router_id="R1")
    process = start_bridge(
        CEREBRO_LOG_LEVEL="debug",
        CEREBRO_AUDIT="stdout",
        RELAY_ANSWER_TIMEOUT_MS="1000",
    )
    async with Caller(process) as caller:
        await caller.until_complete()
        away = await caller.until_written.post(PATH, USER)
        assert (away.status_code, away.json()["code"]) == (
            503,
            "router_timeout",
        )
        assert (await agent.until_session(PLACE)).spec.hotspot_user
        async with asyncio.TaskGroup() as group:
            work = group.create_task(agent.work())
            await ensure(caller)
            work.cancel()

    assert USER["password"] not in process.output()
    for file in process.store.parent.glob("relay.db*"):
        assert USER["password"].encode() not in file.read_bytes()
    assert USER["password"] not in agent.kubectl(
        "get", "sessions", "-o", "json"
    )


async def test_f8_what_a_person_made_is_left_alone(
    bridge: Caller, agent: Agent
) -> None:
    def by_hand(session: Any, _: object) -> Body:
        generation = session.metadata.generation
        told = condition(
            *("Enforced", "False", "UserMadeByHand"),
            *(generation, "hotspot user guest was made by hand"),
        )
        return {
            "phase": "Pending",
            "observedGeneration": generation,
            "conditions": [told],
        }

    work = asyncio.create_task(agent.work(by_hand))
    answer = await bridge.until_confirmed.post(PATH, USER)
    work.cancel()
    assert (answer.status_code, answer.json()["code"]) == (
        409,
        "user_made_by_hand",
    )
    assert "made by hand" in answer.json()["error"]

    spec = {
        "deviceRef": {"name": "router-1"},
        "hotspotUser": {"name": "theirs"},
    }
    agent.apply("Session", "from-git", spec)
    await eventually_known(bridge, "theirs")
    assert len(secrets(agent)) == 1


async def eventually_known(bridge: Caller, user: str) -> None:
    """Ask until the bridge has seen the Session of somebody else."""
    while True:
        answer = await bridge.post(PATH, {**USER, "username": user})
        if answer.json()["code"] == "user_not_ours":
            assert answer.status_code == 409
            assert "from-git" in answer.json()["error"]
            return


async def test_a7_while_the_api_server_is_away_nothing_is_kept_and_it_says_so(
    start_bridge: Callable[..., BridgeProcess],
    control_plane: ControlPlane,
    agent: Agent,
) -> None:
    """The Secret comes first, so there is nothing that an inbox could keep."""
    agent.make_device("router-1", router_id="R1")
    with Proxy(control_plane) as proxy:
        kubeconfig = control_plane.account_kubeconfig(
            "cerebro-operator", agent.namespace, server=proxy.faults.url
        )
        process = start_bridge(
            KUBECONFIG=str(kubeconfig), RELAY_ANSWER_TIMEOUT_MS="1000"
        )
        async with Caller(process) as caller:
            await caller.until_complete()
            proxy.refuse()
            away = await caller.post(PATH, USER)
            assert (away.status_code, away.json()["code"]) == (
                503,
                "kubernetes_unavailable",
            )
            assert "send the same again" in away.json()["error"]
            assert process.inbox() == 0
            assert "pending" not in away.json()


async def test_f6_in_dry_run_no_user_and_no_secret_is_made(
    start_bridge: Callable[..., BridgeProcess], agent: Agent
) -> None:
    agent.make_device("router-1", router_id="R1")
    async with Caller(start_bridge(RELAY_DRY_RUN="1")) as caller:
        await caller.until_complete()
        answer = await caller.post(PATH, USER)
    assert (answer.status_code, answer.json()["created"]) == (200, False)
    assert answer.json()["mikrotik"]["dryRun"] is True
    (command,) = answer.json()["mikrotik"]["commands"]
    assert command.startswith("/ip/hotspot/user add name=guest")
    assert USER["password"] not in answer.text
    assert not secrets(agent)
    assert agent.sessions() == []

"""The fake backend against the contract's own test vectors, over real HTTP; nothing of Cérebro takes part."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientError
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from backend.app import Backend, sign

SECRET = "backend-test-secret-0001"
TIME = "1767139200000"
SIGNED_TIME = (
    "beda35317f8754f90f0540136e9ecf5f938bca40609428ea0c1107f42a63b05d"
)
SIGNED_EMPTY = (
    "ad74ef402d8f7f1060d0ef4d3177069934b0b5ee6ed22ec547f654f1865e7f4f"
)
ACK = '{"eventId":"evt-1","ok":true,"payload":{"ok":true}}'
SIGNED_ACK = "947c0bbfb351b358569f919b2c4376ffe0631c2e1b4ba537b8d930510fd1bac1"
POLL = {"x-relay-ts": TIME, "x-relay-hmac": SIGNED_TIME}

Client = TestClient[Request, Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with TestClient(
        TestServer(Backend(SECRET).application())
    ) as running:
        yield running


async def test_an_empty_feed_is_signed_as_the_contract_says(
    client: Client,
) -> None:
    answer = await client.get("/events", headers=POLL)
    assert (answer.status, await answer.read()) == (200, b"[]")
    assert answer.headers["x-backend-hmac"] == SIGNED_EMPTY


async def test_a_wrongly_signed_poll_gets_nothing(client: Client) -> None:
    await client.post(
        "/control/events", json={"eventId": "evt-1", "type": "TRIAL_REQUESTED"}
    )
    assert (await client.get("/events")).status == 401
    assert (
        await client.get("/events", headers=POLL | {"x-relay-ts": "1"})
    ).status == 401
    assert await (await client.get("/control/polls")).json() == {
        "polls": 2,
        "refused": 2,
    }


async def test_an_event_stays_in_the_feed_until_its_ack(
    client: Client,
) -> None:
    event = {
        "eventId": "evt-1",
        "type": "TRIAL_REQUESTED",
        "payload": {"mikId": "R1"},
        "timestamp": int(TIME),
    }
    assert (await client.post("/control/events", json=[event])).status == 201
    for _ in range(2):
        answer = await client.get("/events", headers=POLL)
        assert await answer.json() == [event]
        assert answer.headers["x-backend-hmac"] == sign(
            SECRET, await answer.read()
        )
    assert (
        await client.post("/ack", data=ACK, headers={"x-relay-hmac": "00"})
    ).status == 401
    assert (
        await client.post(
            "/ack", data=ACK, headers={"x-relay-hmac": SIGNED_ACK}
        )
    ).status == 200
    assert await (await client.get("/events", headers=POLL)).json() == []
    recorded = await (await client.get("/control/acks")).json()
    assert recorded == [
        {"eventId": "evt-1", "ok": True, "payload": {"ok": True}}
    ]


async def test_what_is_no_event_is_refused_with_a_reason(
    client: Client,
) -> None:
    answer = await client.post(
        "/control/events", json={"type": "TRIAL_REQUESTED"}
    )
    assert answer.status == 400
    assert "eventId" in (await answer.json())["error"]


async def test_what_is_wrong_is_wrong_until_it_is_over(client: Client) -> None:
    await client.post(
        "/control/events", json={"eventId": "evt-1", "type": "TRIAL_REQUESTED"}
    )
    await client.put("/control/faults", json={"feed": "500", "ack": "500"})
    assert (await client.get("/events", headers=POLL)).status == 500
    signed = {"x-relay-hmac": SIGNED_ACK}
    assert (await client.post("/ack", data=ACK, headers=signed)).status == 500

    await client.put("/control/faults", json={"feed": "signature"})
    answer = await client.get("/events", headers=POLL)
    assert answer.headers["x-backend-hmac"] != sign(
        SECRET, await answer.read()
    )

    await client.put("/control/faults", json={"feed": "half"})
    with pytest.raises(ClientError):
        await (await client.get("/events", headers=POLL)).read()

    await client.put(
        "/control/faults",
        json={"feed": None, "ack": None, "times": 100, "keep": True},
    )
    for _ in range(2):
        events = await (await client.get("/events", headers=POLL)).json()
        assert len(events) == 100
        answer = await client.post("/ack", data=ACK, headers=signed)
        assert answer.status == 200


@pytest.mark.parametrize(
    "fault", [{"feed": "sleepy"}, {"times": 0}, {"else": 1}]
)
async def test_a_fault_that_there_is_not_is_refused(
    client: Client, fault: dict[str, object]
) -> None:
    assert (await client.put("/control/faults", json=fault)).status == 400

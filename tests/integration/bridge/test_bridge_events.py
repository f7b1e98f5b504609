"""The backend's feed, from a poll to the ACK of each event (F1 to F5, E1).

The backend is a program of its own, and breaks down when a test says so.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from integration.bridge.agent import Agent
from integration.bridge.backend import FakeBackend, event
from integration.bridge.caller import MAC, Caller, eventually
from integration.bridge.process import BridgeProcess

MAC_2, MAC_3 = "AA:BB:CC:DD:EE:02", "AA:BB:CC:DD:EE:03"


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    fake = FakeBackend()
    fake.until_up()
    yield fake
    fake.stop()


@pytest.fixture
async def fed(
    backend: FakeBackend,
    start_bridge: Callable[..., BridgeProcess],
    agent: Agent,
) -> AsyncIterator[Caller]:
    """A bridge that polls the fake backend and knows the Device `router-1`."""
    agent.make_device("router-1", router_id="R1")
    async with Caller(start_bridge(**backend.environment)) as caller:
        await caller.until_complete()
        yield caller


@pytest.fixture
async def router(agent: Agent) -> AsyncIterator[None]:
    """A router that does all at once."""
    work = asyncio.create_task(agent.work())
    yield
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def waiting(process: BridgeProcess) -> tuple[int, int, int]:
    """What waits in the store: entries of the inbox, open events, ACKs."""
    with closing(sqlite3.connect(process.store)) as db:
        (events,) = db.execute(
            "SELECT count(*) FROM events WHERE awaits IS NOT NULL"
        ).fetchone()
        (acks,) = db.execute("SELECT count(*) FROM acks").fetchone()
    return process.inbox(), int(events), int(acks)


async def until_nothing_waits(process: BridgeProcess) -> None:
    await eventually(lambda: waiting(process) == (0, 0, 0))


@pytest.mark.usefixtures("router")
async def test_f1_each_type_of_event_has_its_effect_and_its_ack(
    fed: Caller, backend: FakeBackend, agent: Agent
) -> None:
    backend.offer(
        event("trial", "TRIAL_REQUESTED", trialMinutes=7),
        event("paid", mac=MAC_2, ip="10.5.50.11"),
    )
    for event_id in ("trial", "paid"):
        ack = await backend.until_acked(event_id)
        assert ack == {
            "eventId": event_id,
            "ok": True,
            "payload": {"ok": True},
        }
    trial = agent.session("order-trial")
    assert (trial.spec.type, trial.status.phase) == ("Trial", "Active")
    assert trial.status.authorized_at is not None
    assert trial.status.expires_at is not None
    length = trial.status.expires_at - trial.status.authorized_at
    assert length.total_seconds() == pytest.approx(7 * 60, abs=2)
    assert agent.session("order-paid").spec.type == "Paid"

    backend.offer(event("end", "REVOKE_REQUESTED", pedidoId=None))
    assert (await backend.until_acked("end"))["ok"] is True
    assert agent.session("order-trial").spec.revoked
    assert not agent.session("order-paid").spec.revoked
    await until_nothing_waits(fed.process)


@pytest.mark.usefixtures("router")
async def test_a6_a_confirmed_payment_lets_in_the_phone_that_says_hello(
    fed: Caller, backend: FakeBackend, agent: Agent
) -> None:
    payment = event("payment", "PAYMENT_CONFIRMED")
    payment["payload"] = {
        "sid": "token-7",
        "pedidoId": "P-7",
        "planId": "day",
        "expiresAt": "2099-01-01T00:00:00Z",
    }
    backend.offer(payment)
    assert (await backend.until_acked("payment"))["ok"] is True
    assert agent.sessions() == []

    path = "/relay/identity/status?sid=token-7"
    headers = fed.signed(path, b"", method="GET")
    status = (await fed.raw(path, b"", headers, "GET")).json()
    assert status["state"] == "PENDING"
    assert status["public"]["planId"] == "day"

    answer = await fed.post(
        "/relay/device/hello",
        {
            "deviceToken": "token-7",
            "mikId": "R1",
            "ip": "10.5.50.9",
            "mac": MAC,
        },
    )
    assert answer.status_code == 200
    session = await agent.until_session("P-7")
    assert session.spec.expires_at is not None
    assert session.spec.expires_at.year == 2099


@pytest.mark.usefixtures("router")
async def test_f5_what_is_asked_of_a_router_that_is_offline_may_be_refused(
    fed: Caller, backend: FakeBackend, agent: Agent
) -> None:
    """By the key in an event, or by the Device, over HTTP too; not while the handshake is young enough."""
    key = "R" * 42 + "A="
    agent.apply("Peer", "r1", {"hubRef": {"name": "wg0"}, "publicKey": key})
    agent.status(
        *("peer", "r1"),
        state="Offline",
        lastHandshakeTime="2026-01-01T00:00:00Z",
    )
    agent.status("device", "router-1", peerName="r1")

    # The Device queues, so an event has to name the key.
    backend.offer(
        event("named", peerPublicKey=key),
        event("named-end", "REVOKE_REQUESTED", peerPublicKey=key),
        event("unnamed", mac=MAC_2, ip="10.5.50.11"),
    )
    for event_id in ("named", "named-end"):
        ack = await backend.until_acked(event_id)
        assert (ack["ok"], ack["payload"]["reason"]) == (
            False,
            "peer_offline",
        )
    assert (await backend.until_acked("unnamed"))["ok"] is True

    # The Device rejects: an order is refused, an end is not.
    agent.make_device("router-1", router_id="R1", whenOffline="Reject")
    refused = await _until(fed, "P-1", 409)
    assert refused["code"] == "peer_offline"
    assert "2026-01-01" in refused["error"]
    backend.offer(event("rejected", ip="10.5.50.12", mac=MAC_3))
    rejected = await backend.until_acked("rejected")
    assert rejected["payload"]["reason"] == "peer_offline"
    ended = await fed.until_confirmed.revoke(pedidoId="order-unnamed")
    assert ended.status_code == 200, ended.text

    agent.status("peer", "r1", state="Online")
    await _until(fed, "P-1", 200)
    await until_nothing_waits(fed.process)


async def _until(caller: Caller, order_id: str, status: int) -> dict[str, Any]:
    """Ask for an order until the bridge has seen what a test changed; gives the answer."""
    while True:
        answer = await caller.until_confirmed.authorize(
            f"{order_id}-{secrets.token_hex(4)}"
        )
        if answer.status_code == status:
            body: dict[str, Any] = answer.json()
            return body


@pytest.mark.usefixtures("router")
async def test_f4_poison_is_acknowledged_once_with_a_reason(
    fed: Caller, backend: FakeBackend, agent: Agent
) -> None:
    backend.break_down(keep=True)
    old = event("late", "TRIAL_REQUESTED")
    old["timestamp"] -= 16 * 60_000
    poison = {
        "no-mac": (event("no-mac", mac=None), "validation"),
        "text": (
            event("text", "TRIAL_REQUESTED", trialMinutes="soon"),
            "validation",
        ),
        "type": (event("type", "SOMETHING_ELSE"), "unknown_type"),
        "router": (event("router", mikId="R9"), "unknown_router"),
        "late": (old, "too_late"),
    }
    backend.offer(*(wrong for wrong, _ in poison.values()))
    for event_id, (_, reason) in poison.items():
        ack = await backend.until_acked(event_id)
        assert (ack["ok"], ack["payload"]["reason"]) == (False, reason)
        assert ack["payload"]["error"]

    polls = backend.polls()
    await backend.until(
        lambda: backend.polls() > polls + 5, "further polls bring them"
    )
    assert [len(backend.acks(event_id)) for event_id in poison] == [1] * 5
    assert agent.sessions() == []
    await until_nothing_waits(fed.process)


async def test_f3_a_router_that_is_away_is_pending_and_then_the_outcome_follows(
    fed: Caller, backend: FakeBackend, agent: Agent
) -> None:
    backend.offer(event("slow"))
    await backend.until(lambda: bool(backend.acks("slow")), "a first ACK")
    (first,) = backend.acks("slow")
    assert (first["ok"], first["payload"]["reason"]) == (False, "pending")

    work = asyncio.create_task(agent.work())
    try:
        assert (await backend.until_acked("slow"))["ok"] is True
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert [ack["ok"] for ack in backend.acks("slow")] == [False, True]
    await until_nothing_waits(fed.process)


async def test_f2_a_superseded_event_gets_its_outcome_at_once(
    fed: Caller, backend: FakeBackend, agent: Agent
) -> None:
    backend.offer(event("in"))
    await agent.until_session("order-in")
    backend.offer(event("out", "REVOKE_REQUESTED", pedidoId="order-in"))
    ack = await backend.until_acked("in")
    assert (ack["ok"], ack["payload"]["reason"]) == (False, "superseded")
    assert not backend.acks("out"), "no router said that the end is enforced"
    assert agent.session("order-in").spec.revoked
    assert fed.process.inbox() == 0


@pytest.mark.usefixtures("router")
async def test_f1_a_bridge_that_is_killed_at_any_moment_loses_no_event(
    fed: Caller, backend: FakeBackend, agent: Agent
) -> None:
    """Between inbox and effect, effect and ACK, ACK and its record: the moments differ from round to round."""
    names = []
    for round_ in range(6):
        for number in range(5):
            name = f"k-{round_}-{number}"
            names.append(name)
            backend.offer(
                event(
                    name,
                    mac=f"AA:BB:CC:DD:{round_:02}:{number:02}",
                    ip=f"10.9.{round_}.{number + 1}",
                )
            )
        await fed.until_taken(len(names) - 4)
        await asyncio.sleep(0.03 * round_)
        fed.process.kill()
        fed.process.restart()
        await fed.until_complete()

    for name in names:
        assert (await backend.until_acked(name))["ok"] is True
    await until_nothing_waits(fed.process)
    sessions = agent.sessions()
    assert sorted(one.spec.order_id or "" for one in sessions) == sorted(
        f"order-{name}" for name in names
    )
    for name in names:
        finals = {json.dumps(ack) for ack in backend.acks(name)}
        assert len(finals) == 1, "an ACK may come twice, and says the same"


@pytest.mark.usefixtures("router")
async def test_e1_of_two_bridges_the_holder_of_the_lease_polls(
    fed: Caller,
    backend: FakeBackend,
    start_bridge: Callable[..., BridgeProcess],
) -> None:
    async with Caller(start_bridge(**backend.environment)) as second:
        await second.until_complete()
        backend.offer(event("one"))
        await backend.until_acked("one")
        assert fed.process.terminate() == 0
        backend.offer(event("two", mac=MAC_2))
        assert (await backend.until_acked("two"))["ok"] is True
        assert len(backend.acks("one")) == 1
        await until_nothing_waits(second.process)


@pytest.mark.usefixtures("router")
async def test_events_of_a_file_are_taken_and_only_then_forgotten(
    backend: FakeBackend,
    start_bridge: Callable[..., BridgeProcess],
    agent: Agent,
    tmp_path: Path,
) -> None:
    agent.make_device("router-1", router_id="R1")
    file = tmp_path / "events_queue.json"
    environment = backend.environment | {"CEREBRO_EVENTS_FILE": str(file)}
    del environment["BACKEND_EVENTS_URL"]
    file.write_text(json.dumps([event("in-file")]))
    async with Caller(start_bridge(**environment)) as caller:
        await caller.until_complete()
        assert (await backend.until_acked("in-file"))["ok"] is True
        await until_nothing_waits(caller.process)
    assert json.loads(file.read_text()) == []
    assert not file.with_name("events_queue.json.taken").exists()

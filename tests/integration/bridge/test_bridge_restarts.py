"""What was taken is not lost: kill -9, an API server that is away, SIGTERM (F1, E11, E14)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from controlplane.server import ControlPlane
from integration.bridge.agent import Agent
from integration.bridge.caller import (
    HERE,
    MAC,
    NOT_CONFIRMED,
    Caller,
    eventually,
)
from integration.bridge.process import BridgeProcess


async def test_f1_an_outage_of_the_api_server_loses_no_order_and_no_revoke(
    bridge: Caller, agent: Agent, control_plane: ControlPlane
) -> None:
    first = await bridge.until_written.authorize("P-1")
    assert first.json()["code"] == "router_timeout"
    control_plane.stop_api_server()
    try:
        refused, revoked = await asyncio.gather(
            bridge.authorize(
                "P-2", ipAtual="10.5.50.20", macAtual="AA:BB:CC:DD:EE:20"
            ),
            bridge.revoke(mac=MAC),
        )
        for answer in (refused, revoked):
            assert (answer.status_code, answer.json()["code"]) == (
                503,
                "kubernetes_unavailable",
            )
        assert (await bridge.get("/health/ready")).status_code == 200, "E11"
    finally:
        control_plane.start_api_server()
    await eventually(
        lambda: (
            agent.session("P-1").spec.revoked
            and agent.session("P-2") is not None
        )
    )
    assert not agent.session("P-2").spec.revoked


async def test_f1_what_was_in_the_inbox_at_kill_9_is_carried_out_by_the_next_process(
    bridge: Caller, agent: Agent, control_plane: ControlPlane
) -> None:
    control_plane.stop_api_server()
    try:
        answers = await asyncio.gather(
            *(
                bridge.authorize(
                    f"P-{number}",
                    ipAtual=f"10.5.50.{number}",
                    macAtual=f"AA:BB:CC:DD:EE:{number}",
                )
                for number in range(20, 30)
            )
        )
        assert {answer.status_code for answer in answers} == {503}
        bridge.process.kill()
        bridge.process.restart()
        await bridge.until_up()
        starting = await bridge.authorize(
            "P-30", ipAtual="10.5.50.30", macAtual="AA:BB:CC:DD:EE:30"
        )
        assert (starting.status_code, starting.json()["code"]) == (
            503,
            "starting",
        )
    finally:
        control_plane.start_api_server()
    wanted = {f"P-{number}" for number in range(20, 31)}
    await eventually(
        lambda: {one.spec.order_id for one in agent.sessions()} == wanted
    )
    await bridge.until_carried_out()


async def test_f1_after_kill_9_at_any_moment_and_the_callers_retries_all_is_as_they_asked(
    bridge: Caller, agent: Agent
) -> None:
    """Orders stream in; the process dies a few milliseconds later each time; callers try again, as they do."""

    macs = {
        (round_, number): f"AA:BB:CC:DD:{round_:02}:{number:02}"
        for round_ in range(8)
        for number in range(4)
    }

    def order(round_: int, number: int) -> asyncio.Task[httpx.Response]:
        ip = f"10.9.{round_}.{number}"
        call = bridge.authorize(
            f"K-{round_}-{number}", ip=ip, mac=macs[round_, number]
        )
        return asyncio.create_task(call)

    def revoke(round_: int) -> asyncio.Task[httpx.Response]:
        return asyncio.create_task(
            bridge.revoke(mac=macs[round_, 0], pedidoId=f"K-{round_}-0")
        )

    for round_ in range(8):
        first = [
            *(order(round_, number) for number in range(4)),
            revoke(round_),
        ]
        await asyncio.sleep(0.004 * round_)
        bridge.process.kill()
        await asyncio.gather(*first, return_exceptions=True)
        bridge.process.restart()
        await bridge.until_complete()
    taken = bridge.process.taken()
    again = [order(round_, number) for round_, number in macs]
    await bridge.until_taken(taken + len(again))
    again += [revoke(round_) for round_ in range(8)]
    answers = await asyncio.gather(*again)
    assert {answer.json()["code"] for answer in answers} <= NOT_CONFIRMED
    await bridge.until_carried_out()
    found = {one.spec.order_id: one.spec.revoked for one in agent.sessions()}
    assert len(found) == len(agent.sessions()), "one Session for each order"
    assert found == {
        f"K-{round_}-{number}": number == 0 for round_, number in macs
    }


async def test_e14_sigterm_finishes_what_is_under_way_and_ends_with_0(
    start_bridge: Callable[..., BridgeProcess], agent: Agent, order_id: str
) -> None:
    agent.make_device("router-1", router_id="R1")
    async with Caller(start_bridge(CEREBRO_DRAIN_TIMEOUT="60")) as caller:
        await caller.until_complete()
        call = asyncio.create_task(caller.authorize(order_id))
        await agent.until_session(order_id)
        ending = asyncio.create_task(
            asyncio.to_thread(caller.process.terminate)
        )
        answer = await call
        assert answer.json()["code"] in NOT_CONFIRMED
        assert await ending == 0


async def test_a_nonce_is_remembered_across_a_restart(bridge: Caller) -> None:
    body = b'{"pedidoId":"P-1","mikId":"nobody","mac":"AA:BB:CC:DD:EE:01"}'
    path = "/relay/authorize-by-pedido"
    headers = bridge.signed(path, body)
    assert (await bridge.raw(path, body, headers)).status_code == 404
    bridge.process.kill()
    bridge.process.restart()
    await bridge.until_complete()
    assert (await bridge.raw(path, body, headers)).json()[
        "code"
    ] == "HMAC_REPLAY"


async def test_e15_two_bridges_share_a_file(
    bridge: Caller, agent: Agent, start_bridge: Callable[..., BridgeProcess]
) -> None:
    async with Caller(start_bridge()) as other:
        await other.until_complete()
        assert other.process.store == bridge.process.store
        body = b'{"mikId":"R1","deviceToken":"t","ip":"10.5.50.10","mac":"AA:BB:CC:DD:EE:01"}'
        headers = bridge.signed("/relay/device/hello", body)
        assert (
            await bridge.raw("/relay/device/hello", body, headers)
        ).status_code == 200
        assert (await other.raw("/relay/device/hello", body, headers)).json()[
            "code"
        ] == "HMAC_REPLAY"
        answer = await other.until_written.authorize("P-1", deviceToken="t")
        assert answer.json()["code"] == "router_timeout", (
            "the hello that the first one took is known"
        )
        answers = await asyncio.gather(
            *(
                (one.authorize(f"P-{number}", **HERE))
                for number in range(4)
                for one in (bridge, other)
            )
        )
        assert {answer.json()["code"] for answer in answers} <= NOT_CONFIRMED
        await bridge.until_carried_out()
    assert {one.spec.order_id for one in agent.sessions()} == {
        "P-0",
        "P-1",
        "P-2",
        "P-3",
    }

"""B2: a revoke by address means who has it now, though the Sessions say where phones were seen minutes ago. The whole
stack: bridge, agent and router; a router is compared every five minutes only, so nothing but the revoke looks there.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from integration.faults.backend import AUTHORIZE, REVOKE, Backend
from integration.faults.conftest import OpenStack
from integration.faults.stack import Phone, Stack, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(open_module_stack: OpenStack) -> AsyncIterator[Stack]:
    opened = await open_module_stack(RELAY_TS_SKEW_MS="600000")
    opened.bridge.start()
    opened.agent.start()
    yield opened


async def paid(stack: Stack, at: float | None = None) -> Phone:
    phone = stack.new_phone()
    answer = await Backend(stack.bridge_port).insist(
        AUTHORIZE,
        at=at,
        pedidoId=f"P-{phone.number}",
        planoMinutos=60,
        **phone.address,
    )
    assert answer.status == 200, answer

    async def let_in() -> bool:
        return stack.forwarded(phone)

    await until(let_in, stack.logs)
    return phone


def move(stack: Stack, phone: Phone, ip: str) -> None:
    """Have a phone come back with another lease, before anybody compares the router."""
    hosts = stack.router.hotspot.hosts
    for host in list(hosts.rows.values()):
        if ip == host.values.get("address") or phone.mac == host.values.get(
            "mac-address"
        ):
            hosts.remove(host)
    stack.router.network.move_in(phone.mac, ip)
    stack.forwarded(phone)


async def revoke(stack: Stack, ip: str, at: float | None = None) -> None:
    answer = await Backend(stack.bridge_port).insist(
        REVOKE, at=at, mikId="R1", ip=ip
    )
    assert answer.status == 200, (answer, stack.logs())


async def test_b2_a_phone_that_has_just_got_the_address_is_out_when_200_is_said(
    stack: Stack,
) -> None:
    phone = await paid(stack)
    move(stack, phone, "10.5.99.9")
    await revoke(stack, "10.5.99.9")
    assert not stack.forwarded(phone)
    await stack.check_equal()


async def test_b2_who_has_left_the_address_stays_in_and_who_is_there_now_goes(
    stack: Stack,
) -> None:
    leaves, comes = await paid(stack), await paid(stack)
    move(stack, leaves, "10.5.99.10")
    move(stack, comes, leaves.ip)
    await revoke(stack, leaves.ip)
    assert (stack.forwarded(leaves), stack.forwarded(comes)) == (True, False)
    await stack.check_equal()


async def test_b2_an_idle_phone_is_known_by_the_address_that_it_had_last(
    stack: Stack,
) -> None:
    phone = await paid(stack)
    hosts = stack.router.hotspot.hosts
    for host in [
        row
        for row in hosts.rows.values()
        if row.values.get("mac-address") == phone.mac
    ]:
        hosts.remove(host)
    await revoke(stack, phone.ip)
    assert not stack.forwarded(phone)


async def test_a4_a_late_revoke_by_address_leaves_who_has_paid_since(
    stack: Stack,
) -> None:
    before = time.time() - 200  # farther than clocks may differ
    phone = await paid(stack)
    move(stack, phone, "10.5.99.11")
    await revoke(stack, "10.5.99.11", at=before)
    assert stack.forwarded(phone)
    await stack.check_equal()

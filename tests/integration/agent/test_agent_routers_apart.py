"""Routers that hang, stall or fall silent: they delay no other, and heal by themselves (B5)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from integration.agent.process import AgentProcess
from integration.agent.relay import Relay
from integration.agent.router import BINDING, Router

MAC, IP = "AA:BB:CC:00:12:01", "10.5.50.11"
MAC2, IP2 = "AA:BB:CC:00:12:02", "10.5.50.12"

pytestmark = pytest.mark.usefixtures("agent")


@contextmanager
def most_sessions(router: Router) -> Iterator[list[int]]:
    """Watch how many API sessions a router has at once; gives what was seen."""
    seen: list[int] = [0]
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            seen.append(router.sessions())

    watcher = threading.Thread(target=look, name="sessions of a router")
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join(30)


def ready(relay: Relay, **device: object) -> Router:
    """A router that the agent has compared, with two clients."""
    router = relay.router(device=dict(device))
    for mac, ip in ((MAC, IP), (MAC2, IP2)):
        router.move_in(mac, ip)
    relay.until_condition("Device", router.name, "Ready", "True")
    return router


def test_hanging_routers_delay_no_other(relay: Relay) -> None:
    """They accept and never answer: some since before the agent knew them, one since it was connected."""
    hanging = [relay.router() for _ in range(3)]
    for router in hanging:
        router.faults(hang=True, cut=True)
    connected = ready(relay)
    connected.faults(hang=True)
    healthy = ready(relay)
    for number, router in enumerate([*hanging, connected]):
        router.move_in(MAC, IP)
        relay.session(f"hangs-{number}", router.name, MAC, IP)
    relay.session("goes-through", healthy.name, MAC, IP)
    healthy.lets_in(MAC)
    relay.until_active("goes-through")
    relay.patch("session", "goes-through", revoked=True)
    healthy.cuts_off(MAC)
    relay.until_finished("goes-through")
    for number, router in enumerate([*hanging, connected]):
        assert not router.forwards(MAC)
        relay.until_condition("Session", f"hangs-{number}", "Ready", "False")
        assert relay.until_phase(f"hangs-{number}", "Pending")
        relay.until_condition("Device", router.name, "Ready", "False")
        router.faults()
        router.lets_in(MAC)
        relay.until_active(f"hangs-{number}")


def test_b5_a_stall_during_an_order_opens_a_fresh_connection(
    relay: Relay, agent: AgentProcess
) -> None:
    """Long before `api.timeout` would have ended the old one, and without a leaked session."""
    router = ready(relay, api={"timeout": "60s"})
    with most_sessions(router) as sessions:
        assert any(
            opens_a_fresh_connection(relay, agent, router, number)
            for number in range(5)
        )
    assert max(sessions) <= 3


def opens_a_fresh_connection(
    relay: Relay, agent: AgentProcess, router: Router, number: int
) -> bool:
    """Stall the router during an order, until the agent gives the connection up or the stall is over.

    For an agent that is seconds late nobody waits any more: it may sit that out.
    """
    mac, ip = f"AA:BB:CC:00:12:1{number}", f"10.5.50.2{number}"
    router.move_in(mac, ip)
    logins, said = router.state()["counters"]["logins"], len(agent.output())

    def given_up() -> bool:
        return (
            f"router of Device {relay.namespace}/{router.name}: "
            in agent.output()[said:]
        )

    router.faults(stall_ms=20_000)
    relay.session(f"stalled-{number}", router.name, mac, ip)
    relay.until(
        lambda: given_up() or router.rows(BINDING, mac_address=mac),
        "the connection is given up",
    )
    router.faults(stall_ms=1)
    router.lets_in(mac)
    relay.until_active(f"stalled-{number}")
    relay.until(lambda: router.sessions() == 1, "one session", router.state)
    return bool(router.state()["counters"]["logins"] > logins)


def test_b5_half_open_silence_heals(relay: Relay) -> None:
    """The connection stands, and nothing comes in or goes out."""
    router = ready(relay)
    relay.session("before-silence", router.name, MAC, IP)
    router.lets_in(MAC)
    relay.until_active("before-silence")
    with most_sessions(router) as sessions:
        router.faults(blackhole=True)
        relay.session("in-silence", router.name, MAC2, IP2)
        relay.until_condition("Device", router.name, "Ready", "False")
        relay.until_phase("in-silence", "Pending")
        assert router.forwards(MAC)
        assert relay.status("before-silence")["phase"] == "Active"
        router.faults()
        router.lets_in(MAC2)
        relay.until_active("in-silence")
        relay.until_condition("Device", router.name, "Ready", "True")
        relay.until(
            lambda: router.sessions() == 1, "one session", router.state
        )
    assert max(sessions) < 20  # in its silence the router hears of no end


def test_b5_a_connection_that_is_cut_is_opened_again_and_nothing_is_lost(
    relay: Relay,
) -> None:
    router = ready(relay)
    relay.session("cut", router.name, MAC, IP)
    for _ in range(3):
        router.faults(cut=True)
    router.lets_in(MAC)
    relay.until_active("cut")
    router.faults(drop_after_bytes=300)
    relay.session("cut-in-between", router.name, MAC2, IP2)
    router.lets_in(MAC2)
    relay.until_active("cut-in-between")
    assert router.forwards(MAC)


def test_a_router_that_reboots_converges(relay: Relay) -> None:
    router = ready(relay)
    relay.session("survives", router.name, MAC, IP)
    router.lets_in(MAC)
    router.reboot(600)
    assert not router.forwards(MAC)
    relay.session("ordered-meanwhile", router.name, MAC2, IP2)
    router.reboot(0.2)
    for mac in (MAC, MAC2):
        router.lets_in(mac)
    relay.until_active("survives", "ordered-meanwhile")

"""Rule E14: an agent that is asked to end finishes what it has begun, gives back what it holds, and exits with 0."""

from __future__ import annotations

import json
import signal

from integration.agent.process import AgentProcess
from integration.agent.relay import Relay
from integration.agent.router import BINDING, Router

MAC, IP = "AA:BB:CC:00:14:01", "10.5.50.11"
LEASES = ("cerebro-direct", "cerebro-agent-node-under-test")


def holders(relay: Relay) -> list[str]:
    leases = [
        relay.kubectl("get", "lease", name, "-o", "json", "--ignore-not-found")
        for name in LEASES
    ]
    return [
        json.loads(lease)["spec"].get("holderIdentity", "") if lease else ""
        for lease in leases
    ]


def until_sessions(relay: Relay, router: Router, count: int) -> None:
    relay.until(
        lambda: router.sessions() == count,
        f"{count} API sessions",
        router.state,
    )


def until_held(relay: Relay) -> None:
    relay.until(
        lambda: holders(relay) == ["node-under-test"] * 2,
        "both Leases",
        lambda: holders(relay),
    )


def end(relay: Relay, agent: AgentProcess) -> None:
    """Ask the agent to end. Once more where an API server that took its time kept the Leases: it does not wait long."""
    for _ in range(5):
        said = len(agent.output())
        assert agent.end(signal.SIGTERM) == 0
        if "was not released" not in agent.output()[said:]:
            return
        agent.start()
        until_held(relay)


def test_e14_leases_and_router_sessions_are_given_back(relay: Relay) -> None:
    agent = relay.agent(CEREBRO_LEASE_DURATION="60").start()
    routers = [relay.router() for _ in range(2)]
    hanging = relay.router()
    for router in (*routers, hanging):
        relay.until_condition("Device", router.name, "Ready", "True")
        until_sessions(relay, router, 1)
    hanging.faults(hang=True)
    until_held(relay)
    end(relay, agent)
    assert holders(relay) == ["", ""]
    for router in routers:
        until_sessions(relay, router, 0)
    assert "Traceback" not in agent.output()
    hanging.faults()


def test_e14_an_order_in_hand_is_finished(relay: Relay) -> None:
    """The order is there before the agent: its first pass over a router waits for it as long as `api.timeout`."""
    router = relay.router(device={"api": {"timeout": "60s"}})
    router.move_in(MAC, IP)
    assert not router.forwards(MAC)
    router.faults(latency_ms=500)
    relay.session("in-hand", router.name, MAC, IP, duration="1h")
    agent = relay.agent(
        CEREBRO_LEASE_DURATION="60", CEREBRO_DRAIN_TIMEOUT="60"
    ).start()
    relay.until(lambda: router.rows(BINDING), "the first write", router.access)
    end(relay, agent)
    router.lets_in(MAC)
    status = relay.status("in-hand")
    assert status["phase"] == "Active"
    assert status["applied"] == {"macAddress": MAC, "ipAddress": IP}
    assert holders(relay) == ["", ""]
    router.faults()
    until_sessions(relay, router, 0)

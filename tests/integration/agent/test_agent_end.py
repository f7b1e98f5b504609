"""Rule E14: an agent that is asked to end finishes what it has begun, gives back what it holds, and exits with 0."""

from __future__ import annotations

import json
import signal

from integration.agent.relay import Relay
from integration.agent.router import BINDING

MAC, IP = "AA:BB:CC:00:14:01", "10.5.50.11"
LEASES = ("cerebro-direct", "cerebro-agent-node-under-test")


def holders(relay: Relay) -> list[str]:
    leases = [json.loads(relay.kubectl("get", "lease", name, "-o", "json")) for name in LEASES]
    return [lease["spec"].get("holderIdentity", "") for lease in leases]


def test_e14_leases_and_router_sessions_are_given_back(relay: Relay) -> None:
    agent = relay.agent().start()
    routers = [relay.router() for _ in range(2)]
    hanging = relay.router()
    for router in (*routers, hanging):
        relay.until_condition("Device", router.name, "Ready", "True")
        assert router.sessions() == 1
    hanging.faults(hang=True)
    assert holders(relay) == ["node-under-test"] * 2
    assert agent.end(signal.SIGTERM) == 0
    assert holders(relay) == ["", ""]
    for router in routers:
        assert router.sessions() == 0
    assert "Traceback" not in agent.output()


def test_e14_an_order_in_hand_is_finished(relay: Relay) -> None:
    agent = relay.agent().start()
    router = relay.router()
    relay.until_condition("Device", router.name, "Ready", "True")
    router.move_in(MAC, IP)
    assert not router.forwards(MAC)
    router.faults(latency_ms=500)
    relay.session("in-hand", router.name, MAC, IP, duration="1h")
    relay.until(lambda: router.rows(BINDING), "the first write", router.access)
    assert agent.end(signal.SIGTERM) == 0
    router.lets_in(MAC)
    status = relay.status("in-hand")
    assert status["phase"] == "Active"
    assert status["applied"] == {"macAddress": MAC, "ipAddress": IP}
    assert holders(relay) == ["", ""]
    router.faults()
    relay.until(lambda: router.sessions() == 0, "no session", router.state)

"""An agent whose clock is wrong (rule A9), and one that dies between the router and the status (A11).

The way to the API server is a FaultProxy: it puts the API server's clock forward, and refuses statuses.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from controlplane.proxy import Request
from integration.agent.process import AgentProcess, Proxy
from integration.agent.relay import Relay, at, in_seconds
from integration.agent.router import BINDING, LIST, Router

A, B, C = "AA:BB:CC:00:0F:01", "AA:BB:CC:00:0F:02", "AA:BB:CC:00:0F:03"
IP, IP2, IP3 = "10.5.50.11", "10.5.50.12", "10.5.50.13"


@pytest.fixture
def agent(relay: Relay, proxy: Proxy) -> Iterator[AgentProcess]:
    """An agent of the test's own, behind the proxy."""
    agent = relay.agent(server=proxy.faults.url).start()
    yield agent
    if agent.runs():
        agent.end()


def _status_of_a_session(request: Request) -> bool:
    return request.subresource == "status" and request.resource == "sessions"


@pytest.fixture
def router(relay: Relay) -> Router:
    router = relay.router(device={"resyncInterval": "1s"})
    for mac, ip in ((A, IP), (B, IP2), (C, IP3)):
        router.move_in(mac, ip)
    return router


def test_a9_a_wrong_clock_grants_nothing_new_and_ends_nothing_by_the_clock(
    relay: Relay, proxy: Proxy, router: Router, agent: AgentProcess
) -> None:
    relay.session("by-clock", router.name, A, IP, expiresAt=in_seconds(3600))
    relay.session("by-word", router.name, B, IP2)
    relay.until_active("by-clock", "by-word")
    proxy.faults.date_shift = -3600
    relay.until(
        lambda: (agent.facts().get("clockSkewSeconds") or 0) > 3000,
        "the agent to see it",
        agent.facts,
    )
    end = in_seconds(2)
    relay.patch("session", "by-clock", expiresAt=end)
    relay.session("new", router.name, C, IP3, duration="1h")
    relay.until_condition("Session", "new", "Ready", "False", "ClockSkew")
    relay.until(lambda: in_seconds(-1) > end, "by-clock's end to pass")
    relay.patch("session", "by-word", revoked=True)
    router.cuts_off(B)
    relay.until_finished("by-word")
    relay.until_resynced(router)
    assert router.forwards(A)
    assert not router.forwards(C)
    assert relay.status("by-clock")["phase"] == "Active"
    proxy.faults.date_shift = 0
    router.cuts_off(A)
    router.lets_in(C)
    assert relay.until_finished("by-clock")["phase"] == "Expired"
    relay.until_active("new")


def test_a11_a_marker_on_the_router_wins_over_a_duration_not_yet_started(
    relay: Relay, proxy: Proxy, router: Router, agent: AgentProcess
) -> None:
    """An agent that granted and died before it could say so: no minute is gained or lost."""
    refused = proxy.faults.answer(503, matching=_status_of_a_session)
    relay.session("promised", router.name, A, IP, duration="1h")
    router.lets_in(A)
    marked = int(router.row(BINDING)["comment"].rpartition(":")[2])
    relay.until(lambda: refused.hits, "a status that was refused")
    agent.end(signal.SIGKILL)
    assert "expiresAt" not in relay.status("promised")
    refused.end()
    relay.until(
        lambda: (
            in_seconds(-4)
            > relay.get("Session", "promised")["metadata"]["creationTimestamp"]
        ),
        "4 s",
    )

    agent.start()
    status = relay.until_active("promised")
    assert abs(at(status["expiresAt"]).timestamp() - marked) <= 1
    relay.until_resynced(router)
    rows = [*router.rows(BINDING), *router.rows(LIST)]
    assert [
        abs(int(row["comment"].rpartition(":")[2]) - marked) <= 1
        for row in rows
    ] == [True, True]
    assert router.forwards(A)


def test_a11_a_promise_that_has_passed_meanwhile_is_an_end(
    relay: Relay, proxy: Proxy, router: Router, agent: AgentProcess
) -> None:
    """The agent was away when the promised time was over: the client gets no second one."""
    pid = agent.pid

    def dies_with_the_grant(request: Request) -> bool:
        """Kill the agent when it says something of the Session and the binding is there: it is not to end it too."""
        if _status_of_a_session(request) and agent.runs():
            os.kill(pid, signal.SIGSTOP)
            os.kill(
                pid, signal.SIGKILL if router.rows(BINDING) else signal.SIGCONT
            )
        return _status_of_a_session(request)

    relay.until_condition("Device", router.name, "Ready", "True")
    refused = proxy.faults.answer(503, matching=dies_with_the_grant)
    relay.session(
        "spent",
        router.name,
        A,
        IP,
        type="Trial",
        duration="8s",
        requestedAt=in_seconds(-1),
    )
    router.lets_in(A)
    relay.until(lambda: not agent.runs(), "the agent's death")
    assert refused.hits
    marked = int(router.row(BINDING)["comment"].rpartition(":")[2])
    refused.end()
    relay.until(
        lambda: at(in_seconds(-2)).timestamp() > marked,
        "the promised end to pass",
    )
    assert router.forwards(A)
    agent.start()
    router.cuts_off(A)
    status = relay.until_finished("spent")
    assert status["phase"] == "Expired"
    assert abs(at(status["expiresAt"]).timestamp() - marked) <= 1
    relay.until_resynced(router)
    assert not router.forwards(A)

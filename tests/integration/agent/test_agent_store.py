"""Point 5, rule E7: nothing is removed before the store is complete, and no deletion is missed.

The way to the API server is a FaultProxy: it delays lists, or lets nothing through for a while.
"""

from __future__ import annotations

from controlplane.proxy import Request
from integration.agent.process import Proxy
from integration.agent.relay import Relay
from integration.agent.router import BINDING, LIST

A, B = "AA:BB:CC:00:11:01", "AA:BB:CC:00:11:02"
IP, IP2 = "10.5.50.11", "10.5.50.12"


def _list_of_sessions(request: Request) -> bool:
    return request.list and request.resource == "sessions"


def test_e7_nothing_is_removed_before_the_store_is_complete(relay: Relay, proxy: Proxy) -> None:
    """An agent starts against a slow API server, with entries on the router."""
    agent = relay.agent(server=proxy.faults.url).start()
    router = relay.router(device={"resyncInterval": "1s"})
    for name, mac, ip in (("stays", A, IP), ("goes", B, IP2)):
        router.move_in(mac, ip)
        relay.session(name, router.name, mac, ip)
        router.lets_in(mac)
    relay.until_active("stays", "goes")
    agent.end()
    relay.delete("session", "goes")
    before, writes = router.access(), router.writes()
    slow = proxy.faults.delay(3.0, matching=_list_of_sessions)
    agent.start()
    looks = 0
    while not agent.ready():
        looks += slow.hits > 0
        assert agent.runs(), agent.output()
        assert router.writes() == writes
        assert router.forwards(A)
        assert router.forwards(B)
    assert looks, "the agent was ready before a list of Sessions was asked for"
    slow.end()
    router.cuts_off(B)
    relay.until_resynced(router)
    assert router.forwards(A)
    assert [row["mac-address"] for row in router.rows(BINDING)] == [A]
    assert len(before[BINDING]) == 2
    agent.end()


def test_e7_a_session_deleted_while_nobody_watched_ends_on_the_router(relay: Relay, proxy: Proxy) -> None:
    """The watch comes back with 410: etcd was compacted, so nobody ever tells of the deletion."""
    agent = relay.agent(server=proxy.faults.url).start()
    # Only a change makes the agent look at this router: no resync comes to its help.
    router = relay.router(device={"resyncInterval": "1h"})
    for name, mac, ip in (("kept", A, IP), ("deleted", B, IP2)):
        router.move_in(mac, ip)
        relay.session(name, router.name, mac, ip)
        router.lets_in(mac)
    relay.until_active("kept", "deleted")
    assert router.forwards(B, flow="call")

    proxy.refuse()
    relay.delete("session", "deleted")
    relay.plane.stop_api_server()
    relay.plane.compact()
    relay.plane.start_api_server()
    assert router.forwards(B, flow="call")
    proxy.accept()
    router.cuts_off(B, flow="call")
    router.cuts_off(B)
    relay.until(lambda: len(router.rows(LIST)) == 1, "one list row", router.access)
    assert router.forwards(A)
    assert agent.runs()
    agent.end()

"""Rule E7: nothing is removed before the store is complete, and no deletion is missed.

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


def _list_of_peers(request: Request) -> bool:
    return request.list and request.resource == "peers"


def test_e7_nothing_is_removed_before_the_store_is_complete(
    relay: Relay, proxy: Proxy
) -> None:
    """An agent starts against a slow API server, with entries on the router. Until we have looked often enough it
    gets no Peers.
    """
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
    away = proxy.faults.answer(503, matching=_list_of_peers)
    agent.start()
    looks = 0
    while True:
        seen = router.writes(), router.forwards(A), router.forwards(B)
        ready = agent.readiness()
        assert agent.runs(), agent.output()
        if ready == 200:
            break
        if ready is not None:  # said after we looked, so it was so then
            assert seen == (writes, True, True)
            looks += slow.hits > 0
        if looks == 20:
            away.end()
    assert looks >= 20, "the agent was ready without the Peers"
    slow.end()
    router.cuts_off(B)
    relay.until_resynced(router)
    assert router.forwards(A)
    assert [row["mac-address"] for row in router.rows(BINDING)] == [A]
    assert len(before[BINDING]) == 2
    agent.end()


def test_e7_a_session_deleted_while_nobody_watched_ends_on_the_router(
    relay: Relay, proxy: Proxy
) -> None:
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
    relay.until(
        lambda: len(router.rows(LIST)) == 1, "one list row", router.access
    )
    assert router.forwards(A)
    assert agent.runs()
    agent.end()

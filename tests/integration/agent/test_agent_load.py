"""Many Sessions on one router, applied at once: what each of them costs, counted and not timed."""

from __future__ import annotations

import pytest

from integration.agent.relay import API, Object, Relay, a_session
from integration.agent.router import BINDING, HOST, LIST, Router

SESSIONS = 300
WRITES = 3
"""Commands that a client cannot do without: its binding, its row in the list, and its host that has to go."""

COMMANDS = 6
"""Commands for a client with its share of what is read, before and after; alone it would need more than ten."""

COMMAND_MS = 4
"""Processor time of a command, so that Sessions come faster than the router can take them."""

STATUSES = 2
"""Statuses of a Session until its client is in: that it waits, and that it is in."""

pytestmark = pytest.mark.usefixtures("agent")


def client(number: int) -> tuple[str, str]:
    high, low = divmod(number, 250)
    return f"AA:BB:CC:10:{high:02X}:{low:02X}", f"10.6.{high}.{low + 1}"


def full_router(relay: Relay) -> Router:
    """Return a router with a client for each Session, compared by the agent."""
    router = relay.router()
    for number in range(SESSIONS):
        router.move_in(*client(number), dhcp=True)
    relay.until_condition("Device", router.name, "Ready", "True")
    return router


def applied_at_once(relay: Relay, router: Router) -> None:
    """Create a Session for each client, and wait until all of them are in."""
    relay.create(
        *(
            a_session(f"load-{number}", router.name, *client(number))
            for number in range(SESSIONS)
        )
    )
    relay.until(
        lambda: phases(relay) == ["Active"] * SESSIONS,
        "all Sessions are Active",
        lambda: phases(relay),
    )


def phases(relay: Relay) -> list[str | None]:
    return [status(session).get("phase") for session in relay.sessions()]


def status(session: Object) -> Object:
    return dict(session.get("status") or {})


def counters(router: Router) -> dict[str, int]:
    return dict(router.state()["counters"])


def statuses_of(relay: Relay) -> list[int]:
    """Return how often the status of each Session was written: its revisions in the store but the first."""
    prefix = (
        f"/registry/{API.partition('/')[0]}/sessions/{relay.namespace}/load-"
    )
    return [version - 1 for _, version in relay.plane.versions(prefix)]


def test_z1_z2_a_session_costs_the_same_among_many(relay: Relay) -> None:
    """Cases Z1 and Z2: neither commands nor statuses of a Session grow with the others on its router."""
    router = full_router(relay)
    before = counters(router)
    router.faults(per_command_ms=COMMAND_MS)

    applied_at_once(relay, router)

    after = counters(router)
    writes = after["writes"] - before["writes"]
    commands = after["commands"] - before["commands"]
    assert len(router.rows(BINDING)) == len(router.rows(LIST)) == SESSIONS
    assert router.rows(HOST) == []
    assert writes == WRITES * SESSIONS
    assert commands <= COMMANDS * SESSIONS

    # Events are no further write for each: the Device tells of many at once.
    relay.until(
        lambda: "SessionsGranted" in relay.events(router.name),
        "the Device tells of many Sessions",
        lambda: relay.events(router.name),
    )
    reasons = relay.kubectl("get", "events", "-o", "name").splitlines()
    assert len(reasons) < SESSIONS / 2

    statuses = statuses_of(relay)
    assert len(statuses) == SESSIONS
    assert max(statuses) <= STATUSES

    # All of it is compared, and nothing is written any more.
    router.faults()
    relay.patch("device", router.name, resyncInterval="1s")
    relay.until_resynced(router)
    assert counters(router)["writes"] == after["writes"]
    assert statuses_of(relay) == statuses

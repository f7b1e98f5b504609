"""What counts as actual on a router (rule B1), who a client is (B2), rows that several Sessions share (B3)."""

from __future__ import annotations

import pytest

from integration.agent.relay import Relay, a_session, at, in_seconds
from integration.agent.router import (
    ACTIVE,
    BINDING,
    CONNECTION,
    COOKIE,
    HOST,
    LIST,
    Router,
)

A, B = "AA:BB:CC:00:0A:01", "AA:BB:CC:00:0A:02"
IP, IP2, IP3 = "10.5.50.11", "10.5.50.12", "10.5.50.13"

pytestmark = pytest.mark.usefixtures("agent")


@pytest.fixture
def router(relay: Relay) -> Router:
    """A router that is compared every second."""
    return relay.router(device={"resyncInterval": "1s"})


def hosts(router: Router, mac: str) -> list[dict[str, str]]:
    return router.rows(HOST, mac_address=mac)


def test_b1_a_host_that_was_there_before_the_binding_comes_back_bypassed(
    relay: Relay, router: Router
) -> None:
    router.move_in(A, IP)
    assert not router.forwards(A)
    old = hosts(router, A)[0]
    assert old["bypassed"] == "false"
    relay.session("before", router.name, A, IP)
    router.lets_in(A)
    assert hosts(router, A)[0][".id"] != old[".id"]
    assert hosts(router, A)[0]["bypassed"] == "true"
    assert relay.until_active("before")["applied"]["macAddress"] == A
    # Whom nobody asked for stays out.
    router.move_in(B, IP2)
    assert not router.forwards(B)


def test_b1_a_bypassed_host_that_no_binding_explains_goes(
    relay: Relay, router: Router
) -> None:
    for mac, ip in ((A, IP), (B, IP2)):
        router.move_in(mac, ip)
        router.add(
            BINDING,
            mac_address=mac,
            type="bypassed",
            comment="the shop's till",
        )
        assert router.forwards(mac)
    router.faults(hang=True)  # the agent is not to look before we have
    router.remove(BINDING, router.row(BINDING, mac_address=A)[".id"])
    assert router.forwards(
        A
    )  # the host row keeps the treatment that it was made with
    router.faults()
    router.cuts_off(A)
    relay.until_resynced(router)
    assert router.forwards(B)
    assert router.row(BINDING)["comment"] == "the shop's till"


def test_b1_finished_is_said_when_nothing_is_left(
    relay: Relay, router: Router
) -> None:
    """Cookie and active row, which refuse to go at first, hold `finished` back."""
    router.move_in(A, IP)
    relay.session("lingers", router.name, A, IP)
    router.lets_in(A)
    relay.until_active("lingers")
    router.login(A, "guest")
    refusal = {
        "path": COOKIE,
        "verb": "remove",
        "message": "busy",
        "times": 10_000,
    }
    router.faults(trap=refusal)
    relay.patch("session", "lingers", revoked=True)
    relay.until_phase("lingers", "Revoked")
    assert router.rows(COOKIE, mac_address=A)
    assert not relay.status("lingers").get("finished")
    assert (
        relay.condition("Session", "lingers", "Enforced")["status"] == "False"
    )
    router.faults(trap=None)
    relay.until_finished("lingers")
    assert not router.rows(COOKIE, mac_address=A)
    assert not router.rows(ACTIVE, mac_address=A)
    assert not [
        host
        for host in hosts(router, A)
        if "true" in (host["bypassed"], host["authorized"])
    ]
    assert (
        relay.condition("Session", "lingers", "Enforced")["status"] == "True"
    )


def test_b2_the_binding_has_the_mac_only_and_the_list_row_follows_the_address(
    relay: Relay, router: Router
) -> None:
    router.move_in(A, IP)
    relay.session("roams", router.name, A, IP)
    router.lets_in(A)
    relay.until_active("roams")
    assert "address" not in router.row(BINDING)
    router.remove(HOST, hosts(router, A)[0][".id"])
    router.move_in(A, IP2, dhcp=True)
    relay.until(
        lambda: [row["address"] for row in router.rows(LIST)] == [IP2],
        "the list row at IP2",
        router.access,
    )
    assert router.forwards(A)
    relay.until(
        lambda: (
            relay.status("roams")["applied"]
            == {"macAddress": A, "ipAddress": IP2}
        ),
        "status.applied follows",
        lambda: relay.status("roams"),
    )


def test_b2_an_address_that_another_mac_holds_is_withdrawn(
    relay: Relay, router: Router
) -> None:
    router.move_in(A, IP)
    relay.session("left", router.name, A, IP)
    router.lets_in(A)
    relay.until_active("left")
    router.move_out(A)
    router.remove(HOST, hosts(router, A)[0][".id"])
    router.move_in(B, IP, dhcp=True)
    relay.until(
        lambda: not router.rows(LIST), "the address is B's now", router.access
    )
    assert not router.forwards(B)
    assert router.row(BINDING)["mac-address"] == A
    router.move_in(A, IP3)
    router.lets_in(A)
    relay.until(
        lambda: [row["address"] for row in router.rows(LIST)] == [IP3],
        "A at IP3",
        router.access,
    )


def test_b2_a_session_with_an_address_only_pins_the_mac_at_first_sight(
    relay: Relay, router: Router
) -> None:
    router.move_in(A, IP)
    assert not router.forwards(A)
    relay.session("pinned", router.name, ip=IP, duration="1h")
    # The phone is silent while it is let in: its host goes and does not come back before the last look.
    applied = {"macAddress": A, "ipAddress": IP, "pinnedFor": IP}
    assert relay.until_active("pinned")["applied"] == applied
    router.lets_in(A)
    assert router.row(BINDING)["mac-address"] == A
    # Another phone that gets the address gets nothing by it; the first one keeps what it paid for.
    router.remove(HOST, hosts(router, A)[0][".id"])
    router.move_in(A, IP2)
    router.move_in(B, IP)
    router.lets_in(A)
    assert not router.forwards(B)
    relay.until_resynced(router)
    assert not router.forwards(B)
    assert router.forwards(A)
    assert [row["address"] for row in router.rows(LIST)] == [IP2]
    relay.patch("session", "pinned", revoked=True)
    router.cuts_off(A)
    relay.until_finished("pinned")
    assert router.access() == {BINDING: [], LIST: []}


def test_b2_an_address_that_nobody_has_yet_is_bound_and_then_pinned(
    relay: Relay, router: Router
) -> None:
    relay.session("unseen", router.name, ip=IP, duration="1h")
    relay.until_active("unseen")
    assert router.row(BINDING)["address"] == IP
    router.move_in(A, IP)
    router.lets_in(A)
    relay.until(
        lambda: (
            router.row(BINDING).get("mac-address") == A
            and "address" not in router.row(BINDING)
        ),
        "the binding by MAC",
        router.access,
    )
    router.lets_in(A)
    relay.until(
        lambda: relay.status("unseen")["applied"].get("macAddress") == A,
        "the MAC in status",
        lambda: relay.status("unseen"),
    )


def test_b3_sessions_of_one_client_share_rows_with_the_latest_end(
    relay: Relay, router: Router
) -> None:
    router.move_in(A, IP)
    sooner, later = in_seconds(3600), in_seconds(7200)
    relay.session("sooner", router.name, A, IP, type="Trial", expiresAt=sooner)
    router.lets_in(A)
    relay.session("later", router.name, A, IP, expiresAt=later)
    relay.until_active("sooner", "later")

    def ends() -> list[str]:
        rows = [*router.rows(BINDING), *router.rows(LIST)]
        return [row["comment"].rpartition(":")[2] for row in rows]

    assert ends() == [str(int(at(later).timestamp()))] * 2
    binding = router.row(BINDING)[".id"]
    assert router.forwards(A, flow="call")

    relay.patch("session", "later", revoked=True)
    relay.until_finished("later")
    assert ends() == [str(int(at(sooner).timestamp()))] * 2
    assert router.row(BINDING)[".id"] == binding
    assert router.forwards(
        A, flow="call"
    )  # what another live Session needs stays

    relay.patch("session", "sooner", revoked=True)
    router.cuts_off(A, flow="call")
    router.cuts_off(A)
    relay.until_finished("sooner")
    assert router.access() == {BINDING: [], LIST: []}


def test_a13_a_session_says_who_is_at_its_clients_address(
    relay: Relay, router: Router
) -> None:
    """Case T4: the order's MAC is not the one at its address; who is there is seen though its host goes first."""
    router.move_in(A, IP)
    router.move_in(B, IP2)
    for mac in (A, B):
        assert not router.forwards(mac)
    relay.session("there", router.name, A, IP)
    relay.session("elsewhere", router.name, "AA:BB:CC:00:0A:09", IP2)
    relay.session("nowhere", router.name, "AA:BB:CC:00:0A:08", IP3)
    said = {
        name: relay.until_active(name)
        for name in ("there", "elsewhere", "nowhere")
    }
    seen = {name: status["clientSeen"] for name, status in said.items()}
    assert seen == {"there": True, "elsewhere": False, "nowhere": False}
    assert said["elsewhere"]["addressHeldBy"] == B
    assert "addressHeldBy" not in said["nowhere"]
    assert not router.forwards(B)


def test_b3_a_deleted_session_takes_its_rows_along_unless_another_needs_them(
    relay: Relay, router: Router
) -> None:
    for mac, ip in ((A, IP), (B, IP2)):
        router.move_in(mac, ip)
    relay.apply(
        a_session("one", router.name, A, IP),
        a_session("two", router.name, A, IP),
        a_session("three", router.name, B, IP2),
    )
    for mac in (A, B):
        router.lets_in(mac)
    relay.until_active("one", "two", "three")
    relay.delete("session", "one", "three")
    router.cuts_off(B)
    relay.until_resynced(router)
    assert router.forwards(A)
    assert [row["mac-address"] for row in router.rows(BINDING)] == [A]
    relay.delete("session", "two")
    router.cuts_off(A)
    relay.until(
        lambda: router.access() == {BINDING: [], LIST: []},
        "all rows gone",
        router.access,
    )


def test_t1_connections_that_cannot_be_read_delay_nobody(
    relay: Relay, router: Router
) -> None:
    """Case T1: a client is shut out and another let in, over the same connection, while the router refuses to print
    its connections; only the proof waits for it.
    """
    for mac, ip in ((A, IP), (B, IP2)):
        router.move_in(mac, ip)
    relay.session("goes-unread", router.name, A, IP)
    router.lets_in(A)
    relay.until_active("goes-unread")
    assert router.forwards(A, "stream")
    connection = router.log()[-1]["session"]

    refusal = {
        "path": CONNECTION,
        "verb": "print",
        "message": "no such item (4)",
        "times": 1_000_000,
    }
    router.faults(trap=refusal)
    relay.patch("session", "goes-unread", revoked=True)
    router.cuts_off(A)
    relay.until_condition(
        "Session", "goes-unread", "Enforced", "False", "ConnectionsNotRead"
    )
    assert not router.rows(BINDING, mac_address=A)
    assert not router.rows(LIST, address=IP)

    relay.session("comes-meanwhile", router.name, B, IP2)
    router.lets_in(B)
    relay.until_active("comes-meanwhile")
    assert not relay.status("goes-unread").get("finished")

    router.faults()
    router.cuts_off(A, "stream")
    relay.until_finished("goes-unread")
    assert router.log()[-1]["session"] == connection

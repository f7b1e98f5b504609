"""Rule B4: rows of the older relay are taken over, rows made by hand and of other installations never touched."""

from __future__ import annotations

import pytest

from integration.agent.relay import Relay
from integration.agent.router import BINDING, HOST, LIST, Router

A, B = "AA:BB:CC:00:0B:01", "AA:BB:CC:00:0B:02"
IP, IP2 = "10.5.50.11", "10.5.50.12"

pytestmark = pytest.mark.usefixtures("agent")


@pytest.fixture
def router(relay: Relay) -> Router:
    """A router that is compared every second, with two clients that have no access."""
    router = relay.router(device={"resyncInterval": "1s"})
    for mac, ip in ((A, IP), (B, IP2)):
        router.move_in(mac, ip)
        assert not router.forwards(mac)
    return router


def test_b4_rows_of_the_older_relay_are_taken_over_in_place_and_revoked(
    relay: Relay, router: Router
) -> None:
    kept = {
        BINDING: router.add(
            BINDING,
            mac_address=A,
            address=IP,
            type="bypassed",
            comment="pedido:8841",
        ),
        LIST: router.add(
            LIST, list="paid_clients", address=IP, comment="paid:8841"
        ),
    }
    others = [
        router.add(
            BINDING,
            mac_address=B,
            address=IP2,
            type="bypassed",
            comment="pedido:8842",
        ),
        router.add(
            LIST, list="paid_clients", address=IP2, comment="paid:8842"
        ),
    ]
    relay.session(
        "taken-over", router.name, A, IP, orderID="8841", duration="1h"
    )
    relay.until_active("taken-over")
    router.lets_in(A)
    for path, row_id in kept.items():
        (row,) = [row for row in router.rows(path) if row[".id"] == row_id]
        assert row["comment"].startswith("cerebro:main:")
        assert len(router.rows(path)) == 2
    assert not [
        entry
        for entry in router.log()
        if entry["sentence"][0].endswith("/add")
    ]
    relay.patch("session", "taken-over", revoked=True)
    router.cuts_off(A)
    relay.until_finished("taken-over")
    # Whom no Session names keeps the older relay's rows.
    assert [router.row(BINDING)[".id"], router.row(LIST)[".id"]] == others
    assert router.row(BINDING)["comment"] == "pedido:8842"


def test_a4_an_order_of_the_older_relay_ends_without_a_name_of_its_client(
    relay: Relay, router: Router
) -> None:
    """Case T6: the rows of the order say whom it let in."""
    for mac, ip, order in ((A, IP, "8841"), (B, IP2, "8842")):
        router.add(
            BINDING,
            mac_address=mac,
            type="bypassed",
            comment=f"pedido:{order}",
        )
        router.add(
            LIST, list="paid_clients", address=ip, comment=f"paid:{order}"
        )
    for host in router.rows(HOST):
        router.remove(HOST, host[".id"])
    for mac in (A, B):
        assert router.forwards(mac)
    relay.session("order-alone", router.name, orderID="8841", revoked=True)
    router.cuts_off(A)
    relay.until_finished("order-alone")
    assert router.row(BINDING)["comment"] == "pedido:8842"
    assert router.row(LIST)["comment"] == "paid:8842"
    assert router.forwards(B)


def test_b4_a_revoke_removes_rows_that_the_older_relay_made_again(
    relay: Relay, router: Router
) -> None:
    relay.session("made-again", router.name, A, IP)
    router.lets_in(A)
    relay.until_active("made-again")
    relay.kubectl(
        "patch",
        "device",
        router.name,
        "--type=merge",
        "-p",
        '{"spec":{"paused":"Changes"}}',
    )
    relay.until_condition("Device", router.name, "Ready", "False", "Paused")
    for path in (BINDING, LIST):
        router.remove(path, router.row(path)[".id"])
    router.add(BINDING, mac_address=A, type="bypassed", comment="pedido:1")
    router.add(LIST, list="paid_clients", address=IP, comment="paid:1")
    relay.patch("session", "made-again", revoked=True)
    router.cuts_off(A)
    relay.until_finished("made-again")
    assert router.access() == {BINDING: [], LIST: []}


def test_b4_a_bypass_made_by_hand_counts_as_granted_and_stays_as_it_is(
    relay: Relay, router: Router
) -> None:
    router.add(
        BINDING, mac_address=A, type="bypassed", comment="the owner's phone"
    )
    by_hand = router.row(BINDING)
    relay.session("by-hand", router.name, A, IP, duration="1h")
    relay.until_active("by-hand")
    router.lets_in(A)
    assert router.rows(BINDING) == [by_hand]
    relay.patch("session", "by-hand", revoked=True)
    condition = relay.until_condition(
        "Session", "by-hand", "Enforced", "False", "GrantedByHand"
    )
    assert by_hand[".id"] in condition["message"]
    relay.until_resynced(router)
    assert not relay.status("by-hand").get("finished")
    assert router.rows(BINDING) == [by_hand]
    assert not router.rows(LIST)
    router.remove(BINDING, by_hand[".id"])
    router.cuts_off(A)
    assert relay.until_finished("by-hand")["phase"] == "Revoked"


def test_b4_a_blocking_row_made_by_hand_is_said_and_not_touched(
    relay: Relay, router: Router
) -> None:
    router.add(BINDING, mac_address=A, type="blocked", comment="stole a chair")
    by_hand = router.row(BINDING)
    for host in router.rows(HOST, mac_address=A):
        router.remove(HOST, host[".id"])
    relay.session("blocked", router.name, A, IP, duration="1h")
    condition = relay.until_condition(
        "Session", "blocked", "Enforced", "False", "BlockedByHand"
    )
    assert by_hand[".id"] in condition["message"]
    relay.until_resynced(router)
    assert router.rows(BINDING) == [by_hand]
    assert not router.forwards(A)
    assert relay.status("blocked")["phase"] == "Pending"
    assert "authorizedAt" not in relay.status("blocked")
    router.remove(BINDING, by_hand[".id"])
    relay.until_active("blocked")
    router.lets_in(A)


def test_b4_ours_stand_before_the_first_foreign_row_that_would_match(
    relay: Relay, router: Router
) -> None:
    router.add(
        BINDING, mac_address=B, type="regular", comment="another client"
    )
    network = router.add(
        BINDING,
        address="10.5.50.1-10.5.50.99",
        type="regular",
        comment="everybody pays",
    )
    relay.session("in-front", router.name, A, IP)
    router.lets_in(A)
    relay.until_active("in-front")
    ours = router.row(BINDING, mac_address=A)[".id"]
    order = [row[".id"] for row in router.rows(BINDING)]
    assert order.index(ours) < order.index(network)
    router.faults(hang=True)  # the agent is not to look before we have
    first = router.add(
        BINDING,
        address="10.5.50.1-10.5.50.50",
        type="regular",
        comment="set on top",
        place_before=order[0],
    )
    assert router.rows(BINDING)[0][".id"] == first
    router.faults()
    relay.until(
        lambda: router.rows(BINDING)[0][".id"] == ours,
        "ours on top again",
        router.access,
    )
    assert len(router.rows(BINDING)) == 4
    for host in router.rows(HOST, mac_address=A):
        router.remove(HOST, host[".id"])
    assert router.forwards(A)


def test_b4_rows_of_another_installation_are_foreign(
    relay: Relay, router: Router
) -> None:
    comment = "cerebro:elsewhere:0123456789:never"
    for mac, ip in ((A, IP), (B, IP2)):
        router.add(BINDING, mac_address=mac, type="bypassed", comment=comment)
        router.add(LIST, list="paid_clients", address=ip, comment=comment)
        for host in router.rows(HOST, mac_address=mac):
            router.remove(HOST, host[".id"])
        assert router.forwards(mac)
    before = router.access()
    relay.session("two-homes", router.name, A, IP)
    relay.until_active("two-homes")
    relay.patch("session", "two-homes", revoked=True)
    relay.until_condition(
        "Session", "two-homes", "Enforced", "False", "GrantedByHand"
    )
    relay.until_resynced(router)
    assert router.access() == before
    assert router.forwards(A)
    assert router.forwards(B)

"""Hotspot users of Sessions: made with access, gone at its end, and those made by hand left alone."""

from __future__ import annotations

import pytest

from integration.agent.relay import Relay

pytestmark = pytest.mark.usefixtures("agent")

MAC, IP = "AA:BB:CC:00:00:01", "10.5.50.9"
USERS = "/ip/hotspot/user"


def test_a_user_is_made_with_access_and_logged_out_and_removed_at_its_end(
    relay: Relay,
) -> None:
    router = relay.router()
    relay.session("guest", router.name, None, None, hotspotUser={"name": "g1"})
    relay.until_active("guest")
    assert router.row(USERS, name="g1")["comment"].startswith("cerebro:")

    router.move_in(MAC, IP)
    router.cuts_off(MAC)
    router.login(MAC, "g1")
    router.lets_in(MAC)

    relay.patch("session", "guest", revoked=True)
    relay.until_finished("guest")
    router.cuts_off(MAC)
    assert router.rows(USERS, name="g1") == []
    assert router.rows("/ip/hotspot/active") == []
    assert router.rows("/ip/hotspot/cookie") == []


def test_a_user_made_by_hand_is_left_alone(relay: Relay) -> None:
    router = relay.router()
    router.add(USERS, name="boss", password="own")
    before = router.rows(USERS, name="boss")
    relay.session(
        "boss", router.name, None, None, hotspotUser={"name": "boss"}
    )
    ready = relay.until_condition(
        "Session", "boss", "Ready", "False", "UserMadeByHand"
    )
    assert "rename or remove" in ready["message"]
    relay.patch("session", "boss", revoked=True)
    relay.until_finished("boss")
    assert router.rows(USERS, name="boss") == before

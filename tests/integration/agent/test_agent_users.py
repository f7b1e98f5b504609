"""Hotspot users of Sessions (rule B1): made with access, gone at its end, and those made by hand left alone."""

from __future__ import annotations

import pytest

from integration.agent.relay import Relay
from integration.agent.router import Router

pytestmark = pytest.mark.usefixtures("agent")

MAC, IP = "AA:BB:CC:00:00:01", "10.5.50.9"
USERS = "/ip/hotspot/user"
PROFILES = "/ip/hotspot/user/profile"


@pytest.fixture(scope="module")
def router(relay: Relay) -> Router:
    """One router for the tests that name users of their own."""
    return relay.router(device={"resyncInterval": "1s"})


def test_b1_a_user_is_made_with_access_and_gone_at_its_end(
    relay: Relay,
) -> None:
    router = relay.router()
    router.add(PROFILES, name="guests", shared_users="2")
    relay.secret("secret-g1", "not read", "drawn for g1")
    user = {
        "name": "g1",
        "profile": "guests",
        "passwordSecretRef": {"name": "secret-g1"},
    }
    relay.session("guest", router.name, hotspotUser=user)
    status = relay.until_active("guest")
    assert "applied" not in status
    row = router.row(USERS, name="g1")
    assert row["comment"].startswith("cerebro:main:")
    assert (row["profile"], row["password"]) == ("guests", "drawn for g1")

    router.move_in(MAC, IP)
    router.cuts_off(MAC)
    router.login(MAC, "g1")
    router.lets_in(MAC)
    assert router.forwards(MAC, "call")

    relay.patch("session", "guest", revoked=True)
    relay.until_finished("guest")
    router.cuts_off(MAC, "call")
    assert router.rows(USERS, name="g1") == []
    assert router.rows("/ip/hotspot/active") == []
    assert router.rows("/ip/hotspot/cookie") == []


def test_e13_a_user_goes_with_its_deleted_session(
    relay: Relay, router: Router
) -> None:
    relay.session("deleted", router.name, hotspotUser={"name": "g8"})
    relay.until_active("deleted")
    relay.delete("session", "deleted")
    relay.until(
        lambda: router.rows(USERS, name="g8") == [],
        "the user is gone",
        lambda: router.rows(USERS, name="g8"),
    )


def test_b7_a_new_password_reaches_the_router(
    relay: Relay, router: Router
) -> None:
    reference = {"passwordSecretRef": {"name": "secret-g2"}}
    relay.session(
        "later", router.name, hotspotUser={"name": "g2", **reference}
    )
    ready = relay.until_condition(
        "Session", "later", "Ready", "False", "SecretNotUsable"
    )
    assert "secret-g2" in ready["message"]

    relay.secret("secret-g2", "not read", "first of g2")
    relay.until_active("later")
    relay.secret("secret-g2", "not read", "second of g2")
    relay.until(
        lambda: router.row(USERS, name="g2")["password"] == "second of g2",
        "the new password is on the router",
    )


def test_b4_a_user_made_by_hand_is_left_alone(
    relay: Relay, router: Router
) -> None:
    router.add(USERS, name="boss", password="own")
    before = router.rows(USERS, name="boss")
    relay.session("boss", router.name, hotspotUser={"name": "boss"})
    ready = relay.until_condition(
        "Session", "boss", "Ready", "False", "UserMadeByHand"
    )
    assert "rename or remove" in ready["message"]
    relay.patch("session", "boss", revoked=True)
    relay.until_finished("boss")
    assert router.rows(USERS, name="boss") == before


def test_b0_a_refused_user_concerns_its_session_only(
    relay: Relay, router: Router
) -> None:
    relay.session(
        "odd", router.name, hotspotUser={"name": "g3", "profile": "nowhere"}
    )
    ready = relay.until_condition("Session", "odd", "Ready", "False")
    relay.session("good", router.name, hotspotUser={"name": "g4"})
    relay.until_active("good")
    ready = relay.until_condition(
        "Session", "odd", "Ready", "False", "RefusedByRouter"
    )
    assert "spec.hotspotUser.profile" in ready["message"]


def test_a_login_of_a_live_user_stays_when_another_session_of_the_client_ends(
    relay: Relay,
) -> None:
    router = relay.router()
    relay.session("pass", router.name, hotspotUser={"name": "g5"})
    relay.session("hour", router.name, MAC, IP)
    relay.until_active("pass", "hour")
    router.move_in(MAC, IP)
    router.lets_in(MAC)

    relay.patch("session", "hour", revoked=True)
    relay.until_finished("hour")
    router.cuts_off(MAC)
    router.login(MAC, "g5")
    relay.session("again", router.name, MAC, IP)
    relay.until_active("again")
    relay.patch("session", "again", revoked=True)
    relay.until_finished("again")
    router.lets_in(MAC)


def test_a8_users_go_with_a_device_that_is_cleaned_up(relay: Relay) -> None:
    router = relay.router(
        device={"deletionPolicy": "Cleanup"},
        metadata={"finalizers": ["relay.cerebro.dev/cleanup"]},
    )
    relay.session("left", router.name, hotspotUser={"name": "g6"})
    relay.until_active("left")
    relay.delete("device", router.name, "--wait=false")
    relay.until(
        lambda: router.rows(USERS, name="g6") == [],
        "the user is gone",
        lambda: router.rows(USERS),
    )


def test_t9_dry_run_shows_the_user_without_its_password(
    relay: Relay,
) -> None:
    router = relay.router(device={"dryRun": True})
    relay.secret("secret-g7", "not read", "drawn for g7")
    reference = {"passwordSecretRef": {"name": "secret-g7"}}
    relay.session(
        "shown", router.name, hotspotUser={"name": "g7", **reference}
    )
    relay.until_condition("Session", "shown", "Ready", "False", "DryRun")

    def lines() -> list[str]:
        plan = relay.status(router.name, "Device").get("plan", [])
        return [line for line in plan if "name=g7" in line]

    relay.until(lines, "the plan names the user")
    assert "password=***" in lines()[0]
    assert router.rows(USERS, name="g7") == []

"""The technical user of a Device (rule B7): made on the router, used for daily work, rotated without a gap."""

from __future__ import annotations

from typing import Any

import pytest

from integration.agent.relay import Relay
from integration.agent.router import Router

MAC, IP = "AA:BB:CC:00:36:01", "10.5.50.36"
USER, GROUP, ACTIVE = "/user", "/user/group", "/user/active"
NAME = "relay-tech"

pytestmark = pytest.mark.usefixtures("agent")


def with_user(relay: Relay, password: str, **options: Any) -> Router:
    """Return a router whose Device wants a technical user with that password."""
    secret = f"tech-{options.pop('label')}"
    relay.secret(secret, "not read", password)
    technical = {"passwordSecretRef": {"name": secret}}
    device = {"technicalUser": technical, "resyncInterval": "1s"}
    return relay.router(device={**device, **options})


def who(router: Router) -> set[str]:
    """Return whose API connections the router has."""
    return {row["name"] for row in router.rows(ACTIVE)}


def until_daily(relay: Relay, router: Router, name: str = NAME) -> None:
    relay.until(
        lambda: who(router) == {name},
        f"the loop is logged in as {name}",
        lambda: (router.rows(ACTIVE), relay.status(router.name, "Device")),
    )


def applied(relay: Relay, router: Router) -> str:
    """Return the version of the Secret that is applied."""
    status = relay.status(router.name, "Device").get("technicalUser", {})
    return str(status.get("secretVersion"))


def test_b7_daily_work_is_the_technical_users_and_a_rotation_leaves_no_gap(
    relay: Relay,
) -> None:
    router = with_user(relay, "first password of it", label="rotated")
    until_daily(relay, router)
    group = router.row(GROUP, name=NAME)
    granted = {
        policy
        for policy in group["policy"].split(",")
        if not policy.startswith("!")
    }
    assert granted == {"api", "read", "write"}
    assert router.row(USER, name=NAME)["comment"] == (
        "cerebro:main:technical-user"
    )

    # Access is given with these rights.
    relay.session("tech", router.name, MAC, IP)
    relay.until_active("tech")
    router.move_in(MAC, IP)
    router.lets_in(MAC)

    # The Secret changes: the connection stays, and a new one has the new password.
    before = applied(relay, router)
    (connection,) = router.rows(ACTIVE)
    relay.secret("tech-rotated", "not read", "second password of it")
    relay.until(
        lambda: applied(relay, router) not in ("None", before),
        "the new password is applied",
    )
    assert connection[".id"] in {row[".id"] for row in router.rows(ACTIVE)}
    router.faults(cut=True)
    until_daily(relay, router)
    status = relay.condition("Device", router.name, "Ready")
    assert (status["status"], status["reason"]) == ("True", "Equal")

    # Nobody wants it any more: it goes, and the credentials are used.
    relay.patch("device", router.name, technicalUser=None)
    relay.until(lambda: not router.rows(USER, name=NAME), "the user is gone")
    assert router.rows(GROUP, name=NAME) == []
    router.faults(cut=True)
    until_daily(relay, router, router.address_book["user"])
    assert router.forwards(MAC)


def test_b7_a_user_that_a_person_made_is_left_alone(relay: Relay) -> None:
    relay.secret("tech-hand", "not read", "password by the Secret")
    router = relay.router()
    relay.until_condition("Device", router.name, "Ready", "True")
    row = router.add(
        USER, name=NAME, group="read", password="password by a person"
    )
    before = router.row(USER, name=NAME)
    wanted = {"passwordSecretRef": {"name": "tech-hand"}}
    relay.patch("device", router.name, technicalUser=wanted)
    warned = relay.until_condition(
        "Device", router.name, "Ready", "True", "TechnicalUserByHand"
    )
    assert '/user name="relay-tech"' in warned["message"]
    assert router.row(USER, name=NAME) == before
    assert router.rows(GROUP, name=NAME) == []

    router.remove(USER, row)
    relay.patch("device", router.name, resyncInterval="1s")
    until_daily(relay, router)


def test_b7_a_refused_technical_user_costs_no_access(relay: Relay) -> None:
    """Somebody shuts it: the credentials are used, and the user is mended with them."""
    router = with_user(relay, "password of a shut one", label="shut")
    until_daily(relay, router)
    row = router.row(USER, name=NAME)
    router.change(USER, row[".id"], disabled="true", password="another one")
    router.faults(cut=True)
    relay.session("shut", router.name, "AA:BB:CC:00:36:02", "10.5.50.37")
    relay.until_active("shut")
    relay.until(
        lambda: router.row(USER, name=NAME)["disabled"] == "false",
        "the user is mended",
    )
    until_daily(relay, router)

"""What is wrong with a Device and its Secret, by which field, and never the secret."""

from __future__ import annotations

import pytest

from integration.agent.relay import Relay
from integration.agent.router import Router

MAC, IP = "AA:BB:CC:00:13:01", "10.5.50.11"
DEVICE = "relay.cerebro.dev/device"

pytestmark = pytest.mark.usefixtures("agent")


def heals(relay: Relay, router: Router) -> None:
    """Wait until all is well, and see that access can be given."""
    for condition in ("Ready", "Reachable", "Authenticated"):
        relay.until_condition("Device", router.name, condition, "True")
    router.move_in(MAC, IP)
    relay.session(f"{router.name}-heals", router.name, MAC, IP)
    router.lets_in(MAC)


def test_a_device_without_a_secret_says_so_and_heals(relay: Relay) -> None:
    router = relay.router(credentials=False)
    relay.session("no-secret", router.name, MAC, IP)
    said = relay.until_condition(
        "Device", router.name, "Ready", "Unknown", "SecretNotUsable"
    )
    assert router.name in said["message"]
    assert "spec.api.credentialsSecretRef" in said["message"]
    relay.until_condition(
        "Session", "no-secret", "Ready", "False", "SecretNotUsable"
    )
    relay.secret(
        router.name,
        router.address_book["user"],
        router.address_book["password"],
    )
    heals(relay, router)
    relay.until_active("no-secret")


def test_d2_a_secret_of_another_type_is_not_used(relay: Relay) -> None:
    router = relay.router(secret={"type": "Opaque"})
    said = relay.until_condition(
        "Device", router.name, "Ready", "Unknown", "SecretNotUsable"
    )
    assert "Opaque" in said["message"]
    assert "relay.cerebro.dev/router" in said["message"]
    assert router.state()["counters"]["logins"] == 0
    relay.delete("secret", router.name)
    relay.secret(
        router.name,
        router.address_book["user"],
        router.address_book["password"],
    )
    heals(relay, router)


def test_d2_a_secret_that_is_annotated_for_another_device_is_not_used(
    relay: Relay,
) -> None:
    router = relay.router(secret={"annotations": {DEVICE: "somebody-else"}})
    user, password = (
        router.address_book["user"],
        router.address_book["password"],
    )
    said = relay.until_condition(
        "Device", router.name, "Ready", "Unknown", "SecretNotUsable"
    )
    assert "somebody-else" in said["message"]
    assert DEVICE in said["message"]
    assert router.state()["counters"]["logins"] == 0
    relay.secret(
        router.name, user, password, annotations={DEVICE: router.name}
    )
    heals(relay, router)


def test_a_wrong_password_is_said_and_healed_by_the_secret(
    relay: Relay,
) -> None:
    router = relay.router(credentials=False)
    relay.secret(
        router.name,
        router.address_book["user"],
        "not-the-password-of-this-router",
    )
    relay.session("wrong-password", router.name, MAC, IP)
    said = relay.until_condition(
        "Device", router.name, "Authenticated", "False", "LoginRefused"
    )
    assert "not-the-password" not in said["message"]
    assert relay.condition("Device", router.name, "Ready")["status"] == "False"
    relay.until_condition(
        "Session", "wrong-password", "Ready", "False", "LoginRefused"
    )
    relay.secret(
        router.name,
        router.address_book["user"],
        router.address_book["password"],
    )
    heals(relay, router)
    relay.until_active("wrong-password")


def test_b7_the_previous_password_is_tried_second(relay: Relay) -> None:
    router = relay.router(credentials=False)
    old = {"data": {"previousPassword": router.address_book["password"]}}
    relay.secret(
        router.name,
        router.address_book["user"],
        "the-one-that-is-not-there-yet",
        **old,
    )
    heals(relay, router)


def test_a_router_where_nobody_listens_is_said_and_tried_again(
    relay: Relay,
) -> None:
    router = relay.router()
    relay.until_condition("Device", router.name, "Ready", "True")
    router.faults(refuse=True, cut=True)
    relay.session("nobody", router.name, MAC, IP)
    said = relay.until_condition("Device", router.name, "Reachable", "False")
    assert "127.0.0.1" in said["message"]
    assert str(router.address_book["port"]) in said["message"]
    relay.until_condition(
        "Session", "nobody", "Ready", "False", said["reason"]
    )
    relay.until(
        lambda: (
            relay.status(router.name, "Device").get("circuit", {}).get("state")
            == "Open"
        ),
        "the breaker opens",
        lambda: relay.status(router.name, "Device"),
    )
    router.faults()
    heals(relay, router)
    relay.until_active("nobody")


def test_when_offline_reject_fails_sessions_once_the_breaker_is_open(
    relay: Relay,
) -> None:
    router = relay.router(
        device={
            "whenOffline": "Reject",
            "circuitBreaker": {"failureThreshold": 1},
        }
    )
    relay.until_condition("Device", router.name, "Ready", "True")
    router.faults(refuse=True, cut=True)
    relay.session("rejected", router.name, MAC, IP)
    relay.until_phase("rejected", "Failed")
    assert (
        relay.condition("Session", "rejected", "Ready")["reason"]
        == "RouterOffline"
    )


def test_d2_a_device_without_tls_is_refused_unless_plain_text_is_allowed(
    relay: Relay,
) -> None:
    with pytest.raises(RuntimeError, match=r"api\.allowPlaintext"):
        relay.router(device={"api": {"allowPlaintext": False}})


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        ("Café 📶", "Café 📶"),
        (
            "Caf\udce9 Centro",
            "Caf\\udce9 Centro",
        ),  # the byte of a code page, as an old WinBox stored it
        ("x" * 2000, "x" * 299 + "…"),
    ],
)
def test_a_router_of_any_name_gets_its_status(
    relay: Relay, identity: str, shown: str
) -> None:
    router = relay.router(identity=identity)
    relay.until_condition("Device", router.name, "Ready", "True")
    assert relay.status(router.name, "Device")["identity"] == shown


def test_a_user_without_the_right_to_write_is_said_on_the_session(
    relay: Relay,
) -> None:
    router = relay.router(group="read")
    router.move_in(MAC, IP)
    relay.session("not-permitted", router.name, MAC, IP)
    said = relay.until_condition(
        "Session", "not-permitted", "Ready", "False", "NotPermitted"
    )
    assert "policies" in said["message"]
    assert not router.forwards(MAC)


def test_no_password_is_seen_anywhere(relay: Relay) -> None:
    """In no log, status, event or metric; and the search would find one."""
    assert relay.passwords
    assert relay.leaks() == []
    router = relay.routers[0]
    relay.kubectl(
        "annotate",
        "device",
        router.name,
        f"example.com/leak={relay.passwords[0]}",
    )
    assert relay.leaks() == ["objects"]
    relay.kubectl("annotate", "device", router.name, "example.com/leak-")

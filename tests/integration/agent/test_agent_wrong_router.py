"""Which router a Device means (rule B6, case T9), and the warnings that stop no access."""

from __future__ import annotations

from typing import Any

import pytest

from integration.agent.relay import Relay
from integration.agent.router import Router

MAC, IP = "AA:BB:CC:00:16:01", "10.5.50.16"
PASSWORD = "the same on both"

pytestmark = pytest.mark.usefixtures("agent")


def a_router(relay: Relay, **options: Any) -> Router:
    """A router whose user and password the other ones have too, and a phone on it."""
    router = relay.router(
        secret={"data": {"password": PASSWORD}}, password=PASSWORD, **options
    )
    relay.until_condition("Device", router.name, "Ready", "True")
    return router


def test_b6_nothing_is_written_to_a_router_that_is_another(
    relay: Relay,
) -> None:
    """Case T9: two routers are swapped. Access is given on neither, until the specs name what is meant now."""
    first, second = a_router(relay), a_router(relay)
    relay.session("before", first.name, MAC, IP)
    relay.until_active("before")
    writes = first.writes(), second.writes()

    first.swap(second)
    for router, actual in ((first, second), (second, first)):
        refused = relay.until_condition(
            "Device", router.name, "Ready", "False", "WrongRouter"
        )
        serial = relay.status(router.name, "Device")["serialNumber"]
        assert serial == router.address_book["serial"]
        assert (
            f"spec.serialNumber: {actual.address_book['serial']}"
            in (refused["message"])
        )

    relay.session("after", second.name, MAC, IP)
    relay.until_condition("Session", "after", "Ready", "False", "WrongRouter")
    relay.patch("session", "before", revoked=True)
    relay.until_condition(
        "Session", "before", "Enforced", "Unknown", "WrongRouter"
    )

    assert (first.writes(), second.writes()) == writes

    # The Device `second` is to be what stands at its place now.
    serial = first.address_book["serial"]
    relay.patch("device", second.name, serialNumber=serial)
    relay.until_active("after")
    assert relay.status(second.name, "Device")["serialNumber"] == serial
    first.move_in(MAC, IP)
    first.lets_in(MAC)
    assert second.writes() == writes[1]

    # Its place is right again for the Device `first`, without a change of it.
    first.swap(second)
    relay.until_condition(
        "Device", second.name, "Ready", "False", "WrongRouter"
    )
    relay.until_finished("before")


def test_b6_the_spec_counts_before_the_first_contact(relay: Relay) -> None:
    router = relay.router(device={"serialNumber": "S-OTHER"})
    relay.session("never", router.name, MAC, IP)
    relay.until_condition(
        "Device", router.name, "Ready", "False", "WrongRouter"
    )
    relay.until_condition("Session", "never", "Ready", "False", "WrongRouter")
    assert router.writes() == 0
    assert "serialNumber" not in relay.status(router.name, "Device")

    relay.patch(
        "device", router.name, serialNumber=router.address_book["serial"]
    )
    relay.until_active("never")


def test_b6_a_router_without_a_serial_number_is_served_with_a_warning(
    relay: Relay,
) -> None:
    router = relay.router(chr=True)
    warned = relay.until_condition(
        "Device", router.name, "Ready", "True", "NoSerialNumber"
    )
    assert "not checked" in warned["message"]
    relay.session("chr", router.name, MAC, IP)
    relay.until_active("chr")


def test_b6_a_renamed_router_is_a_warning(relay: Relay) -> None:
    router = a_router(relay, identity="lobby")
    router.change("/system/identity", "", name="roof")
    router.faults(cut=True)

    def warned() -> bool:
        events = relay.kubectl("get", "events.events.k8s.io", "-o", "json")
        return "IdentityChanged" in events and "calls itself roof" in events

    relay.until(warned, "an Event says that the router was renamed")
    relay.session("renamed", router.name, MAC, IP)
    relay.until_active("renamed")


def test_t9_a_field_that_the_bridge_honours_is_no_fault(relay: Relay) -> None:
    """Case T9: only a field that does nothing is said to do nothing."""
    router = relay.router(device={"offlineAfter": "1m"})
    ready = relay.until_condition(
        "Device", router.name, "Ready", "True", "Equal"
    )
    assert "offlineAfter" not in ready["message"], "the bridge honours it"


def test_s9_ipv6_past_the_hotspot_is_a_warning(relay: Relay) -> None:
    """Case S9: the hotspot is IPv4 only, so IPv6 needs no access."""
    router = a_router(relay, device={"resyncInterval": "1s"})
    row = router.add(
        "/ipv6/address", address="2001:db8:7::1/64", interface="bridge"
    )
    warned = relay.until_condition(
        "Device", router.name, "Ready", "True", "IPv6PastHotspot"
    )
    assert "in-interface=bridge action=reject" in warned["message"]
    relay.session("six", router.name, MAC, IP)
    relay.until_active("six")

    router.add(
        "/ipv6/firewall/filter",
        chain="forward",
        in_interface="bridge",
        action="drop",
    )
    relay.until_condition("Device", router.name, "Ready", "True", "Equal")
    router.remove("/ipv6/address", row)

"""What a status says to somebody who waits (A7, B4, F10), and who may call how often (F7)."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.rate_limit import Callers, Limiter
from cerebro.bridge.orders.outcomes import (
    Awaited,
    WaitResult,
    breaker_open,
    judge,
    not_in_time,
)
from cerebro.resources import Device, Session, format_time
from support.orders import NOW, at, by_hand, device


def told(
    phase: str,
    enforced: str,
    reason: str = "Said",
    *,
    ready: str | None = None,
    generation: int = 2,
    **more: Any,
) -> Session:
    """A Session at generation 2 of which the agent said this."""

    def condition(kind: str, status: str, why: str) -> dict[str, Any]:
        return {
            "type": kind,
            "status": status,
            "reason": why,
            "message": f"{why}.",
            "observedGeneration": generation,
        }

    conditions = [condition("Enforced", enforced, reason)]
    if ready is not None:
        conditions.append(condition("Ready", "False", ready))
    status = {
        "phase": phase,
        "observedGeneration": generation,
        "conditions": conditions,
        **more,
    }
    return Session.model_validate(
        {**by_hand().model_dump(by_alias=True), "status": status}
    )


def test_a7_success_is_active_and_enforced_for_this_generation() -> None:
    assert judge(told("Active", "True"), 2, Awaited.GRANT) is WaitResult.DONE
    assert judge(told("Active", "True"), 3, Awaited.GRANT) is None, (
        "an older generation says nothing"
    )
    assert judge(told("Active", "False"), 2, Awaited.GRANT) is None
    assert judge(told("Pending", "False"), 2, Awaited.GRANT) is None
    assert judge(by_hand(), 1, Awaited.GRANT) is None


@pytest.mark.parametrize("phase", ["Revoked", "Expired", "Failed"])
def test_a4_an_end_is_done_when_it_is_enforced(phase: str) -> None:
    assert judge(told(phase, "True"), 2, Awaited.END) is WaitResult.DONE
    assert judge(told(phase, "False"), 2, Awaited.END) is None
    assert judge(told("Active", "True"), 2, Awaited.END) is None


@pytest.mark.parametrize(
    ("session", "wanted", "status", "code"),
    [
        (
            told("Pending", "False", "BlockedByHand"),
            Awaited.GRANT,
            409,
            "blocked_by_hand",
        ),
        (
            told("Revoked", "False", "GrantedByHand"),
            Awaited.END,
            409,
            "granted_by_hand",
        ),
        (told("Revoked", "True"), Awaited.GRANT, 409, "revoked"),
        (told("Expired", "True"), Awaited.GRANT, 409, "order_expired"),
        (
            told("Failed", "True", ready="NeverGranted"),
            Awaited.GRANT,
            503,
            "never_granted",
        ),
        (
            told("Failed", "True", ready="AddressRefused"),
            Awaited.GRANT,
            502,
            "session_failed",
        ),
        (
            told("Pending", "False", ready="WrongRouter"),
            Awaited.GRANT,
            503,
            "wrong_router",
        ),
        (
            told("Pending", "False", ready="Paused"),
            Awaited.GRANT,
            503,
            "paused",
        ),
    ],
)
def test_f10_what_will_not_come_is_an_error(
    session: Session, wanted: Awaited, status: int, code: str
) -> None:
    with pytest.raises(ApiError) as caught:
        judge(session, 2, wanted)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert caught.value.text


def test_f6_a_dry_run_device_says_so() -> None:
    assert (
        judge(told("Pending", "False", ready="DryRun"), 2, Awaited.GRANT)
        is WaitResult.DRY_RUN
    )


def with_status(**status: Any) -> Device:
    return Device.model_validate(
        {**device().model_dump(by_alias=True, mode="json"), "status": status}
    )


def test_a7_an_open_breaker_is_said_until_it_half_opens() -> None:
    assert breaker_open(device(), NOW) is None
    opened = with_status(
        circuit={"state": "Open", "openUntil": format_time(at(30))}
    )
    found = breaker_open(opened, NOW)
    assert found is not None
    assert (found.status, found.code) == (503, "router_unavailable")
    assert breaker_open(opened, at(31)) is None
    assert (
        breaker_open(with_status(circuit={"state": "HalfOpen"}), NOW) is None
    )


def test_a_router_that_is_late_is_explained_by_its_device() -> None:
    assert not_in_time(device(), None).code == "router_timeout"
    for kind, code in (
        ("Authenticated", "MIKROTIK_AUTH_FAILED"),
        ("Reachable", "MIKROTIK_UNREACHABLE"),
    ):
        condition = {
            "type": kind,
            "status": "False",
            "reason": "Why",
            "message": "because",
        }
        found = not_in_time(with_status(conditions=[condition]), None)
        assert (found.status, found.code) == (503, code)
        assert "because" in found.text


def test_f7_a_window_holds_so_many_calls_of_each_caller() -> None:
    limiter = Limiter(2, 60)
    limiter.check("a", 0)
    limiter.check("a", 1)
    limiter.check("b", 1)
    with pytest.raises(ApiError) as caught:
        limiter.check("a", 2)
    assert (caught.value.status, caught.value.code) == (429, "rate_limited")
    limiter.check("a", 60)


def test_f7_a_forwarded_address_counts_only_from_a_trusted_proxy() -> None:
    callers = Callers(["10.0.0.0/8"])
    assert callers.address("192.0.2.1", "198.51.100.7") == "192.0.2.1"
    assert callers.address("10.0.0.1", "198.51.100.7") == "198.51.100.7"
    assert (
        callers.address("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.0.0.2")
        == "198.51.100.7"
    )
    assert callers.address("10.0.0.1", "") == "10.0.0.1"


@pytest.mark.parametrize(
    "trusted", ["10.0.0.0/8", "::ffff:10.0.0.0/104", "::ffff:10.0.0.1/128"]
)
def test_t12_a_trusted_proxy_is_known_by_its_ipv4_mapped_address(
    trusted: str,
) -> None:
    callers = Callers([trusted])
    assert callers.address("::ffff:10.0.0.1", "198.51.100.7") == "198.51.100.7"
    assert (
        callers.address("10.0.0.1", "::ffff:198.51.100.7, ::ffff:10.0.0.1")
        == "198.51.100.7"
    )
    assert callers.address("::ffff:192.0.2.1", "1.1.1.1") == "192.0.2.1"

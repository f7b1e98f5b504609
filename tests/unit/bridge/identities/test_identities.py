"""What is told of a customer's identity (A6), and of a router by its identifier (F8). Pure."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.identities.router_state import router_state
from cerebro.bridge.identities.status import (
    Identity,
    customer_status,
    router_status,
)
from cerebro.bridge.intents import Client, Payment
from cerebro.bridge.orders.decide import Known, decide
from cerebro.bridge.orders.writes import Create
from cerebro.bridge.requests import identity as requests
from cerebro.bridge.store.base import TokenLocation
from cerebro.resources import Device, Session, format_time
from support.orders import (
    IP,
    MAC,
    NAMESPACE,
    NOW,
    PHONE,
    at,
    device,
    order,
    session,
)

SEEN = TokenLocation("router-1", PHONE, 1_767_355_200_000)


def router(**status: Any) -> Device:
    conditions = [
        {
            "type": name,
            "status": value,
            "reason": "Test",
            "message": "",
            "lastTransitionTime": format_time(NOW),
        }
        for name, value in status.pop("conditions", {}).items()
    ]
    made = device().model_dump(by_alias=True, mode="json")
    made["status"] = {**status, "conditions": conditions}
    return Device.model_validate(made)


def access(*, granted: bool) -> Session:
    write = decide(NAMESPACE, order(), PHONE, Known(device(), NOW))
    assert isinstance(write, Create)
    status: dict[str, Any] = {}
    if granted:
        condition = {
            "type": "Enforced",
            "status": "True",
            "reason": "Granted",
            "message": "",
            "lastTransitionTime": format_time(NOW),
        }
        status = {
            "phase": "Active",
            "authorizedAt": format_time(at(1)),
            "expiresAt": format_time(at(3600)),
            "conditions": [condition],
        }
    return session(dict(write.body), **status)


def customer(**known: Any) -> Identity:
    fields: dict[str, Any] = {
        "sid": "s-1",
        "waiting": [],
        "live": [],
        "locations": [],
        "device": None,
    }
    return Identity(**{**fields, **known})


@pytest.mark.parametrize(
    ("known", "state", "code"),
    [
        ({}, "NO_PENDING_PAYMENT", "awaiting_payment"),
        ({"waiting": [order()]}, "PENDING", "authorization_scheduled"),
        (
            {"live": [access(granted=False)]},
            "PENDING",
            "authorization_scheduled",
        ),
        ({"live": [access(granted=True)]}, "AUTHORIZED", "authorized"),
        (
            {"live": [access(granted=True)], "waiting": [order("P-2")]},
            "AUTHORIZED",
            "authorized",
        ),
    ],
)
def test_a6_a_customer_is_as_its_orders_and_sessions_are(
    known: dict[str, Any], state: str, code: str
) -> None:
    answer = customer_status(customer(**known), NOW, for_operators=False)
    assert (answer.ok, answer.public.state) == (True, state)
    assert (answer.state, answer.message_code) == (state, code)
    assert answer.public.authorized is (state == "AUTHORIZED")
    assert answer.public.pending_authorization is (state == "PENDING")
    assert answer.ops is None


def test_a6_what_waits_shows_the_plan_and_the_end_that_were_paid_for() -> None:
    paid = order("P-7", expires_at=at(3600))
    known = customer(waiting=[paid], payment=Payment("s-1", paid, "day"))
    answer = customer_status(known, NOW, for_operators=True)
    assert answer.ops is not None
    assert answer.ops.pending is not None
    for shown in (answer.public, answer.ops.pending):
        assert shown.plan_id == "day"
        assert shown.expires_at == format_time(at(3600))


def test_a6_while_the_router_is_left_alone_a_customer_is_told_how_long() -> (
    None
):
    circuit = {"state": "Open", "openUntil": format_time(at(30))}
    away = router(circuit=circuit)
    waiting = customer(live=[access(granted=False)], device=away)
    answer = customer_status(waiting, NOW, for_operators=True)
    assert (answer.message_code, answer.retry_in_ms) == (
        "cooldown_active",
        30_000,
    )
    assert answer.ops is not None
    assert answer.ops.router_health is not None
    assert answer.ops.router_health.state == "COOLDOWN"
    inside = customer(live=[access(granted=True)], device=away)
    told = customer_status(inside, NOW, for_operators=False)
    assert (told.message_code, told.retry_in_ms) == ("authorized", 0)


def test_a6_operators_see_what_waits_what_was_seen_and_what_was_granted() -> (
    None
):
    known = customer(
        live=[access(granted=True)],
        waiting=[order("P-2")],
        locations=[SEEN],
        device=router(),
    )
    ops = customer_status(known, NOW, for_operators=True).ops
    assert ops is not None
    assert ops.last_seen is not None
    assert (ops.last_seen.ip, ops.last_seen.mac) == (IP, MAC)
    assert ops.pending is not None
    assert ops.pending.pedido_id == "P-2"
    assert ops.applied is not None
    assert ops.applied.recent_keys == ["router-1:P-1:AUTHORIZE"]
    assert ops.applied.last_applied_at == format_time(at(1))


@pytest.mark.parametrize(
    ("status", "state", "online", "code"),
    [
        ({}, "DEGRADED", False, "router_degraded"),
        ({"conditions": {"Ready": "True"}}, "OK", True, "router_ok"),
        (
            {"conditions": {"Ready": "False", "Reachable": "True"}},
            *("DEGRADED", True),
            "router_degraded",
        ),
        (
            {"conditions": {"Ready": "False", "Reachable": "False"}},
            *("FAILED", False),
            "router_unreachable",
        ),
        (
            {"conditions": {"Authenticated": "False", "Reachable": "True"}},
            *("FAILED", False),
            "router_auth_failed",
        ),
        (
            {"circuit": {"state": "Open"}, "conditions": {"Ready": "True"}},
            *("COOLDOWN", False),
            "cooldown_active",
        ),
    ],
)
def test_f8_a_router_is_online_only_if_its_api_answered(
    status: dict[str, Any], state: str, online: bool, code: str
) -> None:
    given = router(**status)
    told = router_state(given, NOW)
    assert (told.state, told.online, told.message_code) == (
        state,
        online,
        code,
    )
    answer = router_status("R1", given, NOW)
    assert (answer.ok, answer.state, answer.public.state) == (
        online,
        state,
        state,
    )


def test_a_refresh_takes_the_shapes_that_clients_send() -> None:
    read = requests.refresh(
        {
            "sid": " s-1 ",
            "ip": IP,
            "mac": MAC.lower().replace(":", "-"),
            "identity": "R1",
            "routerHint": "R2",
        },
        NOW,
        "trace",
    )
    assert (read.sid, read.client) == ("s-1", PHONE)
    assert read.routers == ("R2", "R1")
    bare = requests.refresh(
        {"sid": "s-1", "ip": None, "mac": "", "routerHint": None},
        NOW,
        "trace",
    )
    assert (bare.client, bare.routers) == (Client(), ())


@pytest.mark.parametrize("fields", [{}, {"sid": None}, {"sid": "  "}])
def test_without_a_sid_there_is_no_identity(fields: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        requests.sid_of(fields)
    assert (caught.value.status, caught.value.code) == (400, "missing_sid")


def test_f6_a_router_in_dry_run_is_served_as_it_is_asked_for() -> None:
    given = router(conditions={"Ready": "False", "Reachable": "True"})
    ready = given.status.condition("Ready")
    assert ready is not None
    held = ready.model_copy(update={"reason": "DryRun"})
    others = [
        condition
        for condition in given.status.conditions
        if condition.type != "Ready"
    ]
    given.status.conditions = [*others, held]

    assert router_state(given, NOW).state == "OK"

"""What an event of the feed means, and which come to nothing (A5, A13, F4; contract 3.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.bridge.intents import Authorize, Client, Revoke
from cerebro.bridge.requests.events import (
    FeedRules,
    ReadEvent,
    event_id_of,
    read_event,
)

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
MAC = "AA:BB:CC:DD:EE:01"
PHONE = {"pedidoId": "P-1", "mikId": "R1", "ip": "10.5.50.10", "mac": MAC}


def read(
    kind: Any, payload: Any, timestamp: Any = None, **rules: Any
) -> ReadEvent:
    event = {"eventId": "e", "type": kind, "payload": payload}
    if timestamp is not None:
        event["timestamp"] = timestamp
    return read_event("e", event, NOW, FeedRules(**rules))


def order(kind: str, **payload: Any) -> Authorize:
    intent = read(kind, PHONE | payload).intent
    assert isinstance(intent, Authorize)
    return intent


def reason(event: ReadEvent) -> str | None:
    assert event.intent is None
    assert event.payment is None
    return event.refusal.reason if event.refusal else None


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def test_a_trial_is_an_order_that_ends_by_itself() -> None:
    trial = order("TRIAL_REQUESTED", trialMinutes=7)
    assert (trial.type, trial.order_id, trial.mik_id) == ("Trial", "P-1", "R1")
    assert trial.duration == timedelta(minutes=7)
    assert (trial.event_id, trial.trace_id) == ("e", "e")


@pytest.mark.parametrize(
    ("minutes", "length"),
    [(None, 5), (0, 5), ("10", 10), (120, 120), (9999, 120), (1e300, 120)],
)
def test_a5_the_length_of_a_trial(minutes: Any, length: int) -> None:
    trial = order("TRIAL_REQUESTED", trialMinutes=minutes)
    assert trial.duration == timedelta(minutes=length)
    assert (trial.warning is not None) == (length != minutes and length == 120)


@pytest.mark.parametrize("minutes", ["soon", -1, [], {}, True, "NaN"])
def test_a5_what_is_no_length_of_a_trial_is_refused(minutes: Any) -> None:
    wrong = read("TRIAL_REQUESTED", PHONE | {"trialMinutes": minutes})
    assert reason(wrong) == "validation"


def test_a5_a_release_of_a_trials_order_ends_after_the_trial_time() -> None:
    trial = order("RELEASE_REQUESTED", pedidoId="trial:7f3e")
    assert (trial.type, trial.duration) == ("Trial", timedelta(minutes=5))


def test_a_release_has_no_end_unless_it_names_one() -> None:
    paid = order("RELEASE_REQUESTED")
    assert (paid.type, paid.duration, paid.expires_at) == ("Paid", None, None)
    until = order("RELEASE_REQUESTED", expiresAt="2026-01-02T13:00:00Z")
    assert until.expires_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("name", ["pedidoId", "mikId", "ip", "mac"])
@pytest.mark.parametrize("kind", ["TRIAL_REQUESTED", "RELEASE_REQUESTED"])
@pytest.mark.parametrize("value", [None, "", " ", 7])
def test_an_order_names_order_router_and_phone(
    kind: str, name: str, value: Any
) -> None:
    wrong = read(kind, PHONE | {name: value})
    assert reason(wrong) == "validation"
    assert wrong.refusal is not None
    assert name in wrong.refusal.error


@pytest.mark.parametrize(
    "fields",
    [
        {"mac": "AA:BB"},
        {"mac": "00:00:00:00:00:00"},
        {"ip": "127.0.0.1"},
        {"ip": "10.5.50"},
        {"pedidoId": "P" * 129},
        {"pedidoId": "P\x00"},
        {"peerPublicKey": "k" * 65},
    ],
)
def test_a13_who_can_be_no_client_is_refused(fields: dict[str, str]) -> None:
    wrong = read("RELEASE_REQUESTED", PHONE | fields)
    assert reason(wrong) == "validation"


@pytest.mark.parametrize(
    "named",
    [{"ip": "10.5.50.10"}, {"mac": MAC}, {"pedidoId": "P-1"}],
)
def test_a_revoke_names_a_router_and_a_client_or_an_order(
    named: dict[str, str],
) -> None:
    revoke = read("REVOKE_REQUESTED", {"mikId": "R1", **named}).intent
    assert isinstance(revoke, Revoke)
    assert reason(read("REVOKE_REQUESTED", named)) == "validation"
    assert reason(read("REVOKE_REQUESTED", {"mikId": "R1"})) == "validation"


def test_a_payment_is_an_order_that_waits_for_its_phone() -> None:
    payload = {
        "sid": "s-1",
        "pedidoId": "P-1",
        "planId": "day",
        "routerId": "R1",
        "expiresAt": ms(NOW + timedelta(days=1)),
    }
    payment = read("PAYMENT_CONFIRMED", payload).payment
    assert payment is not None
    assert (payment.sid, payment.plan_id) == ("s-1", "day")
    paid = payment.order
    assert (paid.token, paid.mik_id, paid.order_id) == ("s-1", "R1", "P-1")
    assert paid.expires_at == NOW + timedelta(days=1)
    assert not paid.client
    assert paid.event_id is None, "its ACK does not wait for the phone"
    with_phone = payload | {"ip": "10.5.50.9", "mac": "aa-bb-cc-dd-ee-01"}
    payment = read("PAYMENT_CONFIRMED", with_phone).payment
    assert payment is not None
    assert payment.order.client == Client(
        ip="10.5.50.9", mac="AA:BB:CC:DD:EE:01"
    )
    assert not payment.waiting.client, "a hello knows it better"
    placeholder = payload | {"mac": "02:00:00:00:00:00"}
    payment = read("PAYMENT_CONFIRMED", placeholder).payment
    assert payment is not None, "who has paid is not refused for it"
    assert not payment.order.client
    for name in ("sid", "pedidoId"):
        wrong = read("PAYMENT_CONFIRMED", payload | {name: None})
        assert reason(wrong) == "validation"


def test_an_event_counts_from_its_timestamp_and_never_from_the_future() -> (
    None
):
    for moment, counts in (
        (NOW - timedelta(minutes=3), NOW - timedelta(minutes=3)),
        (NOW + timedelta(days=900), NOW),
    ):
        intent = read("RELEASE_REQUESTED", PHONE, ms(moment)).intent
        assert intent is not None
        assert intent.requested_at == counts
    assert order("RELEASE_REQUESTED").requested_at == NOW


@pytest.mark.parametrize(
    ("kind", "age", "late"),
    [
        ("TRIAL_REQUESTED", timedelta(minutes=15), False),
        ("TRIAL_REQUESTED", timedelta(minutes=16), True),
        ("RELEASE_REQUESTED", timedelta(days=30), False),
        ("RELEASE_REQUESTED", timedelta(days=31), True),
        ("REVOKE_REQUESTED", timedelta(days=31), True),
    ],
)
def test_f4_what_is_too_late_is_refused(
    kind: str, age: timedelta, late: bool
) -> None:
    event = read(kind, PHONE, ms(NOW - age))
    if late:
        assert reason(event) == "too_late"
    else:
        assert event.intent is not None


@pytest.mark.parametrize("timestamp", ["yesterday", True, [], 1e300])
def test_a_timestamp_that_is_none_is_refused(timestamp: Any) -> None:
    assert reason(read("RELEASE_REQUESTED", PHONE, timestamp)) == "validation"


@pytest.mark.parametrize("payload", ["text", [], 7, True])
def test_a_payload_that_is_no_object_is_refused(payload: Any) -> None:
    assert reason(read("RELEASE_REQUESTED", payload)) == "validation"


def test_an_unknown_type_is_told_apart_from_none() -> None:
    assert reason(read("CONSTRUCTOR", PHONE)) == "unknown_type"
    for kind in (None, "", 7):
        assert reason(read(kind, PHONE)) == "validation"


@pytest.mark.parametrize(
    "event",
    [
        None,
        "text",
        7,
        [],
        {},
        {"eventId": None},
        {"eventId": ""},
        {"eventId": " "},
        {"eventId": 7},
        {"eventId": "e\n"},
        {"eventId": "\ud800"},
        {"eventId": "e" * 257},
    ],
)
def test_an_event_without_a_usable_id_has_none(event: Any) -> None:
    assert event_id_of(event) is None


def test_an_id_is_kept_as_it_is() -> None:
    assert event_id_of({"eventId": " é-1 "}) == " é-1 "

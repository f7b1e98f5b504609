"""The records of a Session, from two of its states: each begin and each end of access once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.bridge.records.access import (
    NOTHING,
    AccessRecord,
    AccessState,
    Followed,
    follow,
    follow_deleted,
)
from cerebro.resources import Condition, Session

START = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
MAC = "AA:BB:CC:DD:EE:01"
OTHER_MAC = "AA:BB:CC:DD:EE:02"


def minutes(count: float) -> datetime:
    return START + timedelta(minutes=count)


def session(
    phase: str = "Active",
    *,
    enforced: str = "True",
    since: float = 0,
    mac: str = MAC,
    generation: int = 1,
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> Session:
    """A Session whose client got access at START, with the conditions of its phase."""
    authorized = (
        {} if phase == "Pending" else {"authorizedAt": START.isoformat()}
    )
    return Session.model_validate(
        {
            "metadata": {
                "name": "s",
                "namespace": "n",
                "uid": "u",
                "generation": generation,
                "labels": {"app.kubernetes.io/managed-by": "cerebro-bridge"},
                "annotations": {"relay.cerebro.dev/trace-id": "t"},
            },
            "spec": {
                "deviceRef": {"name": "router-1"},
                "orderID": "P-1",
                "client": {"macAddress": mac, "ipAddress": "10.5.50.10"},
                **(spec or {}),
            },
            "status": {
                "phase": phase,
                "observedGeneration": generation,
                **authorized,
                "conditions": [
                    {
                        "type": "Enforced",
                        "status": enforced,
                        "reason": "Granted",
                        "lastTransitionTime": minutes(since)
                        .replace(microsecond=0)
                        .isoformat(),
                    }
                ],
                **{
                    name: value.isoformat()
                    if isinstance(value, datetime)
                    else value
                    for name, value in status.items()
                },
            },
        }
    )


def after(*sessions: Session, now: float = 60) -> list[Followed]:
    """What comes of these states of a Session one after the other, each read from the store before it is used."""
    state, looks = NOTHING, []
    for each in sessions:
        followed = follow(state, each, "R1", minutes(now))
        state = AccessState.model_validate_json(followed.state.text())
        assert state == followed.state
        assert follow(state, each, "R1", minutes(now)).records == ()
        looks.append(followed)
    return looks


def records(*sessions: Session, now: float = 60) -> list[AccessRecord]:
    return [
        record for look in after(*sessions, now=now) for record in look.records
    ]


def spans(*sessions: Session) -> list[tuple[Any, ...]]:
    return [
        (record.kind, record.started_at, record.ended_at, record.reason)
        for record in records(*sessions)
    ]


def test_grant_and_end_are_as_the_status_says() -> None:
    grant, end = records(
        session("Pending", enforced="False"),
        session(),
        session(
            "Expired", since=9, finishedAt=minutes(10), expiresAt=minutes(9)
        ),
    )
    assert json.loads(grant.text()) == {
        "id": f"u/{round(START.timestamp() * 1000)}",
        "kind": "grant",
        "sessionUid": "u",
        "namespace": "n",
        "session": "s",
        "device": "router-1",
        "router": "R1",
        "order": "P-1",
        "type": "Paid",
        "mac": MAC,
        "ip": "10.5.50.10",
        "from": "2026-01-02T03:04:05.678901Z",
        "until": None,
        "reason": None,
        "madeBy": "bridge",
        "supersedes": None,
        "traceId": "t",
        "eventId": None,
    }
    assert end == grant.model_copy(
        update={
            "kind": "end",
            "ended_at": minutes(10),
            "reason": "Expired",
        }
    )


def test_a_session_that_waits_has_no_record() -> None:
    assert records(session("Pending", enforced="False")) == []
    never = session("Failed", enforced="True", authorizedAt=None)
    assert records(never) == []


def test_an_end_is_recorded_when_it_is_off_the_router() -> None:
    ending = session("Revoked", enforced="False", spec={"revoked": True})
    assert len(records(session(), ending)) == 1
    off = session("Revoked", finishedAt=minutes(7), spec={"revoked": True})
    assert spans(session(), ending, off)[1:] == [
        ("end", START, minutes(7), "Revoked")
    ]


def test_access_on_a_device_that_is_gone_ends() -> None:
    gone = session(
        "Failed", enforced="Unknown", finished=True, finishedAt=minutes(8)
    )
    condition = {**gone.status.conditions[0].model_dump(), "type": "Ready"}
    gone.status.conditions.append(
        Condition(**{**condition, "reason": "DeviceGone"})
    )
    assert spans(session(), gone)[1:] == [
        ("end", START, minutes(8), "DeviceGone")
    ]


def test_an_unreadable_router_ends_nothing() -> None:
    silent = session(enforced="Unknown")
    assert len(records(session(), silent, session())) == 1


def test_what_nobody_saw_is_recorded_from_the_end() -> None:
    over = session("Expired", finishedAt=minutes(10))
    assert spans(over, over) == [
        ("grant", START, None, None),
        ("end", START, minutes(10), "Expired"),
    ]


def test_access_after_an_end_is_another_one() -> None:
    again: dict[str, Any] = {"generation": 3, "reopenedAt": minutes(20)}
    first, end, second, last = records(
        session(),
        session("Revoked", finishedAt=minutes(10)),
        session("Pending", enforced="False", **again),
        session("Active", since=21, **again),
        session("Revoked", finishedAt=minutes(30), **again),
    )
    assert (second.kind, second.started_at) == (
        "grant",
        minutes(21).replace(microsecond=0),
    )
    assert end.id == first.id != second.id == last.id
    assert last.ended_at == minutes(30)


def test_access_after_an_end_that_no_condition_shows() -> None:
    looks = spans(
        session(), session("Revoked", finishedAt=minutes(10)), session()
    )
    assert looks[2:] == [
        ("grant", minutes(10) + timedelta(milliseconds=1), None, None)
    ]


def test_an_end_that_nobody_saw_before_the_next_grant() -> None:
    again = session(since=21, generation=3, reopenedAt=minutes(20))
    later = minutes(21).replace(microsecond=0)
    assert spans(session(), again) == [
        ("grant", START, None, None),
        ("end", START, minutes(20), "Ended"),
        ("grant", later, None, None),
    ]


@pytest.mark.parametrize("since", [0, 20])
def test_another_phone_ends_the_access_of_the_former(since: float) -> None:
    moving = session(
        enforced="False",
        mac=OTHER_MAC,
        generation=2,
        applied={"macAddress": MAC, "ipAddress": "10.5.50.10"},
    )
    moved = session(
        since=since,
        mac=OTHER_MAC,
        generation=2,
        applied={"macAddress": OTHER_MAC, "ipAddress": "10.5.50.10"},
    )
    grant, end, second = records(session(), moving, moved)
    when = minutes(20).replace(microsecond=0) if since else minutes(60)
    assert (grant.mac, end.mac, second.mac) == (MAC, MAC, OTHER_MAC)
    assert (end.ended_at, end.reason) == (when, "Moved")
    assert second.started_at == when


def test_a_spec_that_no_agent_has_seen_moves_nobody() -> None:
    changed = session(mac=OTHER_MAC, generation=2, observedGeneration=1)
    assert len(records(session(), changed)) == 1


def test_an_address_that_becomes_known_is_in_the_end() -> None:
    pinned: dict[str, Any] = {
        "applied": {"macAddress": MAC},
        "spec": {"client": {}},
    }
    seen: dict[str, Any] = {
        "applied": {"macAddress": MAC, "ipAddress": "10.5.50.11"}
    }
    grant, end = records(
        session(**pinned),
        session(**seen),
        session("Expired", finishedAt=minutes(10)),
    )
    assert (grant.ip, end.ip) == (None, "10.5.50.11")


@pytest.mark.parametrize(
    ("seen", "until", "reason"),
    [
        (session(), 60, "Deleted"),
        (session(spec={"revoked": True}), 60, "Revoked"),
        (session(expiresAt=minutes(30)), 30, "Expired"),
        (session(expiresAt=minutes(90)), 60, "Deleted"),
    ],
)
def test_a_deleted_session_ends_the_access(
    seen: Session, until: float, reason: str
) -> None:
    (look,) = after(seen)
    deleted = follow_deleted(look.state, minutes(60))
    (end,) = deleted.records
    assert (end.ended_at, end.reason) == (minutes(until), reason)
    assert follow_deleted(deleted.state, minutes(70)).records == ()
    assert follow_deleted(NOTHING, minutes(70)).records == ()

"""What is told of a Session by Events: granted, refused, ended, once each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cerebro.agent.devices.access.story import session_news
from cerebro.domain.conditions import ConditionState, with_conditions
from cerebro.resources import Session, SessionStatus

NOW = datetime(2026, 5, 1, tzinfo=UTC)
WAITS = ConditionState("False", "Granting", "being put on the router")
TAKEN = ConditionState("False", "RefusedByRouter", "failure: no such list")
AWAY = ConditionState("False", "ConnectTimeout", "no answer")
GRANTED = ConditionState("True", "Granted", "on the router")
ENDING = ConditionState("False", "Ending", "being removed")
OVER = ConditionState("True", "Expired", "its time was over")
BY_HAND = ConditionState("False", "GrantedByHand", "row *1 lets it in")


def a_session(status: SessionStatus | None = None) -> Session:
    meta = {"name": "s", "namespace": "ns", "uid": "s", "generation": 1}
    spec = {"deviceRef": {"name": "d"}}
    made = Session.model_validate({"metadata": meta, "spec": spec})
    return made.model_copy(update={"status": status}) if status else made


def a_status(
    phase: str, state: ConditionState, **fields: Any
) -> SessionStatus:
    status = SessionStatus.model_validate({"phase": phase}).model_copy(
        update=fields
    )
    return with_conditions(status, a_session(), state, state, NOW)


PENDING = a_status("Pending", WAITS)
REFUSED = a_status("Pending", TAKEN)
ACTIVE = a_status("Active", GRANTED, expires_at=NOW)
LEAVING = a_status("Expired", ENDING)
GONE = a_status("Expired", OVER, finished_at=NOW)


def told(
    old: SessionStatus | None, new: SessionStatus, *, looked: bool = True
) -> str | None:
    news = session_news(a_session(old), new, looked=looked)
    if news is None:
        return None
    return f"{news.told.reason}: {news.told.sentence.format(**news.values)}"


@pytest.mark.parametrize(
    ("old", "new", "event"),
    [
        (None, PENDING, None),
        (
            None,
            REFUSED,
            "Refused: Device d: RefusedByRouter: failure: no such list",
        ),
        (REFUSED, REFUSED, None),
        (
            REFUSED,
            ACTIVE,
            "Granted: access is on the router of Device d, until 2026-05-01T00:00:00Z",
        ),
        (ACTIVE, ACTIVE, None),
        (ACTIVE, LEAVING, None),
        (
            LEAVING,
            GONE,
            "Expired: access is off the router of Device d: its time was over",
        ),
        (GONE, GONE, None),
        (
            LEAVING,
            a_status("Expired", BY_HAND),
            "NotEnded: access is still on the router of Device d: GrantedByHand: row *1 lets it in",
        ),
        (
            PENDING,
            a_status("Failed", TAKEN),
            "NotGranted: never let in by Device d: RefusedByRouter: failure: no such list",
        ),
        (a_status("Failed", TAKEN), a_status("Failed", AWAY), None),
    ],
)
def test_each_step_is_told_once(
    old: SessionStatus | None, new: SessionStatus, event: str | None
) -> None:
    assert told(old, new) == event


def test_a_router_that_is_away_is_told_of_its_device_alone() -> None:
    waits = a_status("Pending", AWAY)
    assert told(PENDING, waits, looked=False) is None
    assert told(ACTIVE, a_status("Active", AWAY), looked=False) is None
    assert told(LEAVING, a_status("Expired", AWAY), looked=False) is None

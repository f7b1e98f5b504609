"""What a pass makes of a router's refusals, and of logins that come back, in
cases that were met in the field. Pure; no router.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cerebro.agent.devices.access.contention import ContentionTracker
from cerebro.agent.devices.access.outcome import pass_obstacle
from cerebro.agent.devices.access.status import live_status
from cerebro.domain.conditions import Obstacle
from cerebro.domain.lifecycle import GrantWindows, RouterObservation, judge
from cerebro.resources import Session
from cerebro.routeros.access.result import GrantView
from cerebro.routeros.client.errors import Trap

NOW = datetime(2030, 1, 1, tzinfo=UTC)
REFUSED = Obstacle("RefusedByRouter", "invalid value", final=True)


@pytest.mark.parametrize(
    ("message", "final"),
    [
        ("input does not match any value of server", False),
        ("input does not match any value of type", False),
        ("invalid value for argument list", False),
        ("value of address-list is too long", False),
        ("invalid value for argument mac-address", True),
        ("invalid value for argument address", True),
    ],
)
def test_t7_only_what_is_about_the_client_is_final(
    message: str, final: bool
) -> None:
    trap = Trap("/ip/hotspot/ip-binding/add", [message], 1)
    assert pass_obstacle(trap).final is final


@pytest.mark.parametrize(
    ("phase", "after"), [("Pending", "Failed"), ("Active", "Active")]
)
def test_t7_an_active_session_never_becomes_failed(
    phase: str, after: str
) -> None:
    session = Session.model_validate(
        {
            "metadata": {
                "name": "s",
                "namespace": "ns",
                "uid": "s",
                "creationTimestamp": "2029-12-31T23:59:00Z",
                "generation": 1,
            },
            "spec": {
                "deviceRef": {"name": "r"},
                "client": {"macAddress": "AA:BB:CC:DD:EE:FF"},
            },
            "status": {"phase": phase, "observedGeneration": 1},
        }
    )
    verdict = judge(session, RouterObservation(NOW), GrantWindows())
    view = GrantView(False, "AA:BB:CC:DD:EE:FF", ())
    status = live_status(session, verdict, view, REFUSED, NOW)
    assert status.phase == after


def test_t8_three_logouts_in_ten_minutes_are_a_fight() -> None:
    tracker = ContentionTracker()
    for moment in (0.0, 30.0):
        tracker.note_logouts(["c"], [], moment)
        assert tracker.logged_in_again(moment) == frozenset()

    tracker.note_logouts(["c"], [], 60.0)
    assert tracker.logged_in_again(60.0) == {"c"}

    # It is tried again once the logins are old, or the client was granted.
    after = timedelta(minutes=10).total_seconds()
    assert tracker.logged_in_again(after + 1) == frozenset()
    tracker.note_logouts([], ["c"], 61.0)
    assert tracker.logged_in_again(61.0) == frozenset()

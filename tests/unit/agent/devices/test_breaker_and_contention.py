"""The circuit breaker's waits and rule B10, with times as arguments."""

from __future__ import annotations

from cerebro.agent.devices.access.contention import ContentionTracker
from cerebro.agent.devices.breaker import Breaker


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_try_through() -> (
    None
):
    breaker = Breaker(threshold=3, recovery=60.0)
    waits = []
    for _ in range(3):
        assert breaker.state(0.0) == "Closed"
        breaker.failed(0.0)
        waits.append(breaker.next_try)
    assert waits[0] < waits[1] < waits[2] == 60.0
    assert breaker.state(59.0) == "Open"
    assert breaker.state(60.0) == "HalfOpen"
    breaker.failed(60.0)
    assert breaker.state(100.0) == "Open"
    breaker.succeeded()
    assert (breaker.state(100.0), breaker.next_try) == ("Closed", 0.0)


def test_b5_a_changed_secret_half_opens_the_breaker() -> None:
    breaker = Breaker(threshold=1, recovery=60.0)
    breaker.failed(0.0)
    breaker.half_open(5.0)
    assert (breaker.state(5.0), breaker.next_try) == ("HalfOpen", 5.0)


def test_b10_three_repairs_in_ten_minutes_are_contested_and_forgotten_later() -> (
    None
):
    contest = ContentionTracker()
    contest.note(
        ["c"], {"c": True}, [], 0.0, everything=True
    )  # the first grant is no repair
    for time in (10.0, 20.0):
        drifted = contest.note(["c"], {"c": True}, [], time, everything=False)
        assert drifted == 1
        assert not contest.contested(time)
    contest.note(["c"], {"c": True}, [], 30.0, everything=False)
    assert contest.contested(30.0) == {"c"}
    assert not contest.contested(700.0)


def test_b10_a_client_that_came_anew_is_not_repaired() -> None:
    contest = ContentionTracker()
    contest.note(["c"], {"c": True}, [], 0.0, everything=True)
    contest.note([], {}, [], 1.0, everything=True)
    for time in (2.0, 3.0, 4.0):
        drifted = contest.note(["c"], {"c": False}, [], time, everything=False)
        assert drifted == 0
    assert not contest.contested(4.0)


def test_b10_a_client_whose_access_ended_begins_anew() -> None:
    contest = ContentionTracker()
    for time in range(0, 60, 10):
        contest.note(["c"], {"c": True}, [], float(time), everything=False)
        contest.note([], {}, ["c"], float(time) + 5, everything=False)
        assert not contest.contested(float(time) + 5)

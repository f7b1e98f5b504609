"""Sessions of a Device: who is looked up by which client, and when the clock changes whom."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cerebro.agent.devices.access.desired import in_scope
from cerebro.agent.devices.access.roster import Roster
from cerebro.resources import Session
from cerebro.routeros.access.read import Scope

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SOON, LATER = NOW + timedelta(seconds=1), NOW + timedelta(hours=1)


def a_session(
    name: str, client: dict[str, str], status: dict[str, Any] | None = None
) -> Session:
    return Session.model_validate(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": name},
            "spec": {"deviceRef": {"name": "d"}, "client": client},
            "status": status or {},
        }
    )


def mac(number: int) -> str:
    return f"AA:00:00:00:{number >> 8:02X}:{number & 255:02X}"


def names(sessions: list[Session]) -> set[str]:
    return {session.name for session in sessions}


def test_sessions_are_looked_up_by_the_clients_that_they_name_and_named() -> (
    None
):
    """Z2: a scope meets just the Sessions that a walk over all of them would meet."""
    former = {"applied": {"macAddress": mac(9), "ipAddress": "10.0.0.9"}}
    sessions = [
        a_session("mac", {"macAddress": mac(1)}),
        a_session("again", {"macAddress": mac(1), "ipAddress": "10.0.0.1"}),
        a_session("ip", {"ipAddress": "10.0.0.2"}),
        a_session("moved", {"macAddress": mac(3)}, former),
    ]
    roster = Roster.of(sessions)
    scopes = [
        Scope(frozenset({mac(1)})),
        Scope(frozenset({mac(9)}), frozenset({"10.0.0.1", "10.0.0.2"})),
        Scope(frozenset({mac(7)}), frozenset({"10.0.0.9"})),
    ]
    for scope in scopes:
        expected = {one.name for one in sessions if in_scope(one, scope)}
        assert names(roster.within(scope)) == expected

    roster.join(a_session("mac", {"macAddress": mac(2)}))
    roster.leave("again")
    assert names(roster.within(scopes[0])) == set()
    assert names(roster.within(Scope(frozenset({mac(2)})))) == {"mac"}


def test_the_clock_tells_each_instant_once() -> None:
    """A5: what ends while a pass runs is due at once after it, not missed."""
    roster = Roster()
    roster.join(a_session("a", {"macAddress": mac(1)}), SOON)
    roster.join(a_session("b", {"macAddress": mac(2)}), LATER)
    assert roster.take_due(NOW) == []
    assert roster.next_wake() == SOON
    assert names(roster.take_due(SOON)) == {"a"}
    assert roster.take_due(SOON) == []
    assert roster.next_wake() == LATER


def test_an_instant_that_passed_is_overdue_until_somebody_takes_it() -> None:
    roster = Roster()
    roster.join(a_session("s", {"macAddress": mac(1)}), SOON)
    assert roster.overdue("s", NOW) is None
    assert roster.overdue("s", LATER) == SOON

    roster.join(a_session("s", {"macAddress": mac(1)}), SOON)
    assert names(roster.take_due(LATER)) == {"s"}
    assert roster.overdue("s", LATER) is None
    assert roster.overdue("nobody", LATER) is None


def test_an_instant_that_a_session_no_longer_has_does_not_count() -> None:
    roster = Roster()
    roster.join(a_session("a", {"macAddress": mac(1)}), SOON)
    roster.join(a_session("a", {"macAddress": mac(1)}), LATER)
    roster.join(a_session("b", {"macAddress": mac(2)}), SOON)
    roster.leave("b")
    assert roster.next_wake() == LATER
    assert roster.take_due(SOON) == []
    assert names(roster.take_due(LATER)) == {"a"}


def test_instants_of_sessions_that_went_do_not_pile_up() -> None:
    roster = Roster()
    for number in range(1000):
        roster.join(a_session("a", {}), LATER + timedelta(seconds=number))
    assert roster.pending_wakes() < 100
    assert roster.next_wake() == LATER + timedelta(seconds=999)


def test_phases_are_counted_as_they_change() -> None:
    roster = Roster()
    for number in range(3):
        active = {"phase": "Active"}
        roster.join(a_session(str(number), {}, active))
    roster.join(a_session("0", {}, {"phase": "Expired"}))
    roster.leave("1")
    assert (roster.count("Active"), roster.count("Pending")) == (1, 0)


def test_a_look_up_visits_no_more_sessions_on_a_full_router(
    monkeypatch: Any,
) -> None:
    """Z2: with 1,000 Sessions a look-up, a change and the next instant touch as many members as with ten."""
    counts = []
    for size in (10, 1000):
        roster = Roster()
        for number in range(size):
            one = a_session(str(number), {"macAddress": mac(number)})
            roster.join(one, LATER + timedelta(seconds=number))

        visits = 0
        members = roster._members

        class Counting(dict[str, Any]):
            def __getitem__(self, key: str) -> Any:
                nonlocal visits
                visits += 1
                return super().__getitem__(key)

            def values(self) -> Any:
                nonlocal visits
                visits += len(self)
                return super().values()

            def items(self) -> Any:
                nonlocal visits
                visits += len(self)
                return super().items()

        monkeypatch.setattr(roster, "_members", Counting(members))
        assert names(roster.within(Scope(frozenset({mac(3)})))) == {"3"}
        roster.join(a_session("3", {"macAddress": mac(3)}), SOON)
        assert roster.next_wake() == SOON
        assert names(roster.take_due(SOON)) == {"3"}
        counts.append(visits)
    assert counts[0] == counts[1] > 0

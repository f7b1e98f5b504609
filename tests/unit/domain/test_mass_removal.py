"""Who goes at once, who waits for more to be seen, and what waits for a person (rule E13). Times are numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from cerebro.domain.mass_removal import (
    SETTLE,
    WINDOW,
    RemovalDecision,
    RemovalWindow,
)

CLIENTS = [f"c{number}" for number in range(500)]


class Place:
    """A router with clients, or a Hub with peers: what a decision lets go is gone."""

    def __init__(self, keys: Iterable[str] = CLIENTS) -> None:
        self.window = RemovalWindow()
        self.present = set(keys)
        self.ownerless: set[str] = set()

    def lose(self, *keys: str, now: float) -> None:
        """Delete the objects of some keys."""
        self.ownerless |= set(keys)
        self.window.lost(keys, now)

    def look(self, now: float, **given: Any) -> RemovalDecision:
        decision = self.window.decide(
            self.ownerless & self.present,
            self.present,
            **{"now": now, "known_at": now, **given},
        )
        self.present -= decision.going

        return decision

    def trickle(
        self, times: Iterable[float], until: float, **given: Any
    ) -> list[float]:
        """Lose a key at each of these times, in the order of the clients, and look when it is due; return when."""
        looks: list[float] = []
        due: float | None = None

        for key, at in zip(CLIENTS, times, strict=False):
            while due is not None and due <= at:
                looks.append(due)
                due = self.look(due, **given).look_again_at

            self.lose(key, now=at)
            due = at + SETTLE if due is None else min(due, at + SETTLE)

        while due is not None and due <= until:
            looks.append(due)
            due = self.look(due, **given).look_again_at

        return looks


def test_what_lost_its_object_waits_to_show_whether_more_do() -> None:
    place = Place()
    place.lose("c1", now=10.0)
    first = place.look(11.0)
    assert (first.going, first.held) == (frozenset(), frozenset())
    assert first.look_again_at == 10.0 + SETTLE
    assert place.look(12.99).going == frozenset()
    last = place.look(13.0)
    assert last.going == {"c1"}
    assert last.look_again_at is None


def test_what_is_met_without_a_memory_waits_from_first_sight() -> None:
    place = Place()
    place.ownerless = {"c1"}
    assert place.look(50.0).look_again_at == 50.0 + SETTLE
    assert place.look(53.0).going == {"c1"}


def test_a_trickle_of_ten_a_second_ends_no_more_than_a_fifth() -> None:
    """Case S1: 500 clients in 50 s; a guard that counts in one pass let all of them go."""
    place = Place()
    looks = place.trickle([n / 10 for n in range(500)], until=1000.0)
    gone = 500 - len(place.present)
    assert 50 <= gone <= 100
    assert place.window.held == place.present
    # The rest waits for a person, also when the minute is over.
    assert place.look(2000.0).going == frozenset()
    assert len(place.look(3000.0).held) == len(place.present)
    assert len(looks) <= 60


def test_a_trickle_too_slow_to_be_a_mass_removal_goes() -> None:
    place = Place()
    place.trickle([2.0 * n for n in range(100)], until=1000.0)
    assert len(place.present) == 400


def test_small_places_need_ten() -> None:
    place = Place(CLIENTS[:12])
    place.trickle([0.1 * n for n in range(9)], until=100.0)
    assert len(place.present) == 3
    place = Place(CLIENTS[:12])
    place.trickle([0.1 * n for n in range(10)], until=100.0)
    assert len(place.present) == 12


def test_all_that_went_at_once_wait_and_the_number_confirms_them() -> None:
    place = Place()
    place.lose(*CLIENTS[:200], now=0.0)
    assert len(place.look(3.0).held) == 200
    assert len(place.look(4.0, confirmed=199).held) == 200
    decision = place.look(5.0, confirmed=200)
    assert decision.going == set(CLIENTS[:200])
    assert decision.held == frozenset()


def test_what_waits_with_a_mass_removal_waits_however_small_the_rest_is() -> (
    None
):
    """Somebody puts the objects back, one after the other: the last ones do not go meanwhile."""
    place = Place()
    place.lose(*CLIENTS[:200], now=0.0)
    place.look(3.0)
    for number in range(197):
        place.ownerless.discard(CLIENTS[number])
        decision = place.look(4.0 + number)
        assert decision.going == frozenset()
    assert decision.held == set(CLIENTS[197:200])
    assert place.look(500.0, confirmed=3).going == set(CLIENTS[197:200])


def test_an_object_that_comes_back_in_time_keeps_its_client() -> None:
    """As with `kubectl replace --force` of everything."""
    place = Place()
    place.lose(*CLIENTS, now=0.0)
    place.ownerless.clear()
    decision = place.look(1.0)
    assert (decision.going, decision.held) == (frozenset(), frozenset())
    assert decision.look_again_at is None


def test_a_deletion_that_the_look_does_not_know_yet_is_remembered() -> None:
    place = Place()
    place.window.lost(["c1"], 10.0)
    assert place.look(10.5, known_at=9.0).look_again_at == 10.0 + SETTLE
    place.ownerless.add("c1")
    assert place.look(13.0).going == {"c1"}


def test_the_looks_of_a_trickle_are_apart() -> None:
    place = Place()
    looks = place.trickle([n / 20 for n in range(90)], until=60.0)
    steps = [later - earlier for earlier, later in itertools.pairwise(looks)]
    assert min(steps) >= 1.0
    assert len(place.present) == 410


def test_a_standing_annotation_lets_as_many_go_a_minute_and_no_more() -> None:
    place = Place()
    place.trickle([n / 10 for n in range(500)], until=55.0, confirmed=12)
    gone = 500 - len(place.present)
    assert gone <= 100 + 12


def test_what_a_person_let_go_does_not_hold_up_the_next_one() -> None:
    place = Place()
    place.lose(*CLIENTS[:400], now=0.0)
    place.look(3.0)
    assert len(place.look(5.0, confirmed=400).going) == 400
    place.lose("c400", now=10.0)
    assert place.look(13.0).going == {"c400"}


def test_a_new_number_is_a_new_word() -> None:
    """The number that the message gives is enough, whatever an earlier one let go."""
    place = Place()
    place.lose(*CLIENTS[:200], now=0.0)
    place.look(3.0)
    place.look(5.0, confirmed=200)
    place.lose(*CLIENTS[200:300], now=6.0)
    assert len(place.look(9.0, confirmed=200).held) == 100
    assert len(place.look(10.0, confirmed=100).going) == 100


def test_a_standing_annotation_confirms_again_a_minute_later() -> None:
    place = Place(CLIENTS[:40])
    place.lose(*CLIENTS[:12], now=0.0)
    assert len(place.look(3.0, confirmed=12).going) == 12
    place.lose(*CLIENTS[12:24], now=4.0)
    decision = place.look(7.0, confirmed=12)
    assert len(decision.held) == 12
    assert decision.look_again_at == 3.0 + WINDOW
    assert len(place.look(3.0 + WINDOW, confirmed=12).going) == 12


def test_a_removal_that_has_begun_goes_on_and_counts_once() -> None:
    """Rows are disabled first and removed later, perhaps much later: the router may be away."""
    place = Place()
    place.lose(*CLIENTS[:90], now=0.0)
    for now in (3.0, 4.0, 500.0):
        decision = place.window.decide(
            place.ownerless, place.present, now=now, known_at=now
        )
        assert decision.going == set(CLIENTS[:90])
    place.present -= set(CLIENTS[:90])
    place.lose(*CLIENTS[90:100], now=501.0)
    assert len(place.look(504.0).going) == 10


def test_a_revoked_client_whose_session_was_deleted_goes_and_does_not_count() -> (
    None
):
    place = Place()
    place.ownerless = set(CLIENTS[:200])
    place.window.revoked(CLIENTS[:150], 0.0)
    decision = place.look(0.1)
    assert decision.going == set(CLIENTS[:150])
    assert decision.held == frozenset()
    assert len(place.look(3.1).going) == 50


def test_what_goes_at_once_counts() -> None:
    place = Place()
    refused = set(CLIENTS[:90])
    place.ownerless = set(refused)
    assert place.look(0.0, at_once=refused).going == refused
    place.lose(*CLIENTS[90:120], now=1.0)
    assert len(place.look(4.0).held) == 30


def test_more_deletions_than_are_noted_are_met_by_a_look() -> None:
    many = [f"k{number}" for number in range(10_001)]
    place = Place([*many, *(f"x{number}" for number in range(50_000))])
    place.lose(*many, now=0.0)
    assert len(place.look(3.0).going) == 10_000
    assert place.look(6.0).going == {many[-1]}


@pytest.mark.parametrize("times", [1, 2])
def test_the_memory_ends_with_the_minute(times: int) -> None:
    place = Place()
    place.lose(*CLIENTS[:100], now=0.0)
    assert len(place.look(3.0).going) == 100
    place.lose(*CLIENTS[100:180], now=WINDOW * times)
    went = place.look(WINDOW * times + SETTLE).going
    assert len(went) == 80

"""Decisions about orders and revokes, in every order of arrival (A1, A2, A4, A10)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import (
    Arrival,
    Authorize,
    Cause,
    Client,
    Hello,
    Revoke,
    dump,
    load,
)
from cerebro.bridge.orders.causes import noted_revoke, request_of
from cerebro.bridge.orders.decide import Known, decide, order_name, overtaken
from cerebro.bridge.orders.move import decide_move
from cerebro.bridge.orders.revoke import decide_revoke
from cerebro.bridge.orders.upkeep import pin_end, retire
from cerebro.bridge.orders.writes import Create, Keep, Patch, Write
from cerebro.domain.lifecycle import GrantWindows, session_facts
from cerebro.resources import Session, format_time
from support.orders import (
    IP,
    MAC,
    MAC_2,
    NAMESPACE,
    NOW,
    PHONE,
    apply,
    at,
    by_hand,
    device,
    order,
    revoke,
    session,
)

ROUTER = device()
HOUR = timedelta(hours=1)


class World:
    """Sessions and kept revokes, as API server and bridge would have them."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.revokes: list[Revoke] = []
        self.answers: list[str] = []
        self._taken = 0

    def take(self, intent: Authorize | Revoke, now: datetime = NOW) -> None:
        """Take an intent as one that has just come."""
        self._taken += 1
        arrival = Arrival(self._taken, self._taken)
        came = intent.model_copy(update={"arrival": arrival})
        try:
            self._carry_out(came, now)
        except ApiError as error:
            self.answers.append(error.code)

    def _carry_out(self, intent: Authorize | Revoke, now: datetime) -> None:
        if isinstance(intent, Revoke):
            self.revokes.append(intent)
            found = self.sessions.values()
            for write in decide_revoke(
                NAMESPACE, intent, ROUTER, found, client=intent.client, now=now
            ):
                apply(write, self.sessions)
            return
        kept = [
            one.cause
            for one in self.revokes
            if one.order_id == intent.order_id
            or (one.order_id is None and one.client == intent.client)
        ]
        same = self.sessions.get(
            order_name(NAMESPACE, ROUTER, intent, intent.client)
        )
        known = Known(ROUTER, now, same=same, revokes=tuple(kept))
        apply(decide(NAMESPACE, intent, intent.client, known), self.sessions)

    def live(self, now: datetime = NOW) -> set[str | None]:
        return {
            one.spec.order_id
            for one in self.sessions.values()
            if session_facts(one, now).live
        }


def written(write: Write) -> Session:
    """The object that a Create makes."""
    assert isinstance(write, Create)
    return session(dict(write.body))


@pytest.mark.parametrize(
    "late_revoke",
    [revoke(asked=200), revoke("trial:1", asked=200)],
    ids=["client", "order"],
)
@pytest.mark.parametrize("arrival", list(itertools.permutations(range(3))))
def test_a4_trial_paid_and_a_late_revoke_in_every_order_of_arrival(
    arrival: tuple[int, ...], late_revoke: Revoke
) -> None:
    trial = order(
        "trial:1", asked=0, type="Trial", duration=timedelta(minutes=5)
    )
    paid = order("P-1", asked=400, duration=HOUR)
    for names in itertools.combinations_with_replacement(range(3), 2):
        world = World()
        intents = (trial, paid, late_revoke)
        for number in (*arrival, *names):
            world.take(intents[number], at(410))
        assert world.live() == {"P-1"}, (
            "the paying client stays in, the trial does not"
        )


@given(
    arrival=st.permutations(range(4)),
    again=st.lists(st.integers(0, 3), max_size=4),
    pivot=st.integers(1, 3),
)
def test_a4_what_is_live_at_the_end_follows_from_the_times_and_not_from_the_arrival(
    arrival: list[int], again: list[int], pivot: int
) -> None:
    """An order is live exactly when it was asked for later than the last revoke of its client.

    All are farther apart than the clocks of two callers may be.
    """
    moments = [200 * (number + (number >= pivot)) for number in range(3)]
    intents: list[Authorize | Revoke] = [
        order(f"P-{number}", asked=moment, duration=HOUR)
        for number, moment in enumerate(moments)
    ]
    intents.append(revoke(asked=200 * pivot))
    world = World()
    for number in (*arrival, *again):
        world.take(intents[number])
    assert world.live() == {
        f"P-{number}"
        for number, moment in enumerate(moments)
        if moment > 200 * pivot
    }


@pytest.mark.parametrize("apart", [-119, -5, 0, 5, 119])
def test_a4_within_the_clock_window_the_arrival_counts(apart: float) -> None:
    """Case T6: two servers of a backend, whose clocks are some seconds apart."""
    world = World()
    world.take(order(asked=0, duration=HOUR))
    world.take(revoke(asked=apart))
    assert (world.live(), world.answers) == (set(), [])
    world.take(order(asked=0, duration=HOUR))
    assert (world.live(), world.answers) == ({"P-1"}, [])
    world.take(revoke("P-1", asked=apart))
    assert (world.live(), world.answers) == (set(), [])


def test_a4_beyond_the_clock_window_the_times_count() -> None:
    world = World()
    world.take(order(asked=0, duration=HOUR))
    world.take(revoke(asked=-121))
    assert (world.live(), world.answers) == ({"P-1"}, ["asked_later"])
    world.take(revoke(asked=121))
    world.take(order(asked=0, duration=HOUR))
    assert (world.live(), world.answers) == (
        set(),
        ["asked_later", "revoked_later"],
    )


def test_a4_a_revoke_that_ends_nothing_for_its_time_says_so() -> None:
    """Case T6: the answer has the time of the Session that stays."""
    paid = ours(order(asked=600, duration=HOUR))
    for late in (revoke(asked=0), revoke("P-1", asked=0)):
        with pytest.raises(ApiError) as caught:
            decide_revoke(
                NAMESPACE, late, ROUTER, [paid], client=PHONE, now=at(700)
            )
        error = caught.value
        assert (error.status, error.code) == (409, "asked_later")
        assert error.extra["requestedAt"] == format_time(at(600))
        assert paid.name in error.text


def test_a4_a_revoke_that_ends_one_of_two_is_no_error() -> None:
    trial = ours(order("trial:1", type="Trial", duration=HOUR))
    paid = ours(order(asked=600, duration=HOUR))
    late = revoke(asked=300)
    (ended,) = decide_revoke(
        NAMESPACE, late, ROUTER, [trial, paid], client=PHONE, now=at(700)
    )
    assert ended.name == trial.name


def test_a4_without_an_arrival_the_times_count() -> None:
    """A Session that a person made, or one of an older release, tells of no arrival."""
    arrived = revoke(asked=-5).model_copy(update={"arrival": Arrival(9, 9)})
    with pytest.raises(ApiError, match="asked for after"):
        decide_revoke(
            NAMESPACE,
            arrived,
            ROUTER,
            [ours(order(duration=HOUR))],
            client=PHONE,
            now=NOW,
        )


def test_a4_the_arrivals_are_noted_at_the_session_and_survive_a_restart() -> (
    None
):
    came = order(duration=HOUR).model_copy(update={"arrival": Arrival(5, 1)})
    made = ours(came)
    assert request_of(made) == Cause(NOW, Arrival(5, 1))
    late = revoke(asked=-60).model_copy(update={"arrival": Arrival(6, 2)})
    (ended,) = decide_revoke(
        NAMESPACE, late, ROUTER, [made], client=PHONE, now=NOW
    )
    assert isinstance(ended, Patch)
    assert ended.body["metadata"]["annotations"] == noted_revoke(late.cause)


def test_a4_an_order_carried_out_again_does_not_undo_what_came_after_it() -> (
    None
):
    first, second = (
        order(asked=asked, duration=HOUR).model_copy(
            update={
                "arrival": Arrival(number, number),
                "client": Client(mac=mac),
            }
        )
        for number, asked, mac in ((1, 5, MAC), (2, 0, MAC_2))
    )
    moved = ours(second)
    assert changed(first, moved) == {}


def test_a4_a_revoke_with_an_order_ends_that_order_only() -> None:
    world = World()
    for number in range(3):
        world.take(order(f"P-{number}", asked=number))
    world.take(revoke("P-1", asked=10))
    assert world.live() == {"P-0", "P-2"}


def test_b4_a_client_without_a_session_gets_a_revoked_one() -> None:
    (write,) = decide_revoke(
        NAMESPACE, revoke(), ROUTER, [], client=PHONE, now=NOW
    )
    made = written(write)
    assert (made.spec.revoked, made.spec.revoked_at, made.spec.order_id) == (
        True,
        NOW,
        None,
    )
    assert made.spec.client.mac_address == MAC


@pytest.mark.parametrize(
    ("order_id", "kind"), [("P-1", "Paid"), ("trial:1", "Trial")]
)
def test_a4_an_order_alone_without_a_session_gets_a_revoked_one(
    order_id: str, kind: Any
) -> None:
    """Case T6: only the rows of the older relay say whom it let in for it."""
    asked = revoke(order_id, client=Client())
    (write,) = decide_revoke(
        NAMESPACE, asked, ROUTER, [], client=Client(), now=NOW
    )
    made = written(write)
    assert (made.spec.revoked, made.spec.order_id) == (True, order_id)
    assert not Client.of(made)
    assert made.name == order_name(
        NAMESPACE, ROUTER, order(order_id, type=kind), PHONE
    )


def test_a4_an_order_alone_that_has_a_session_ends_that_one_only() -> None:
    asked = revoke("P-1", asked=5, client=Client())
    (write,) = decide_revoke(
        NAMESPACE, asked, ROUTER, [ours(order())], client=Client(), now=at(5)
    )
    assert isinstance(write, Patch)


def test_a5_an_order_that_follows_its_revoke_alone_names_the_client() -> None:
    """It is opened with the client in the same write: without one it may not be open."""
    (made,) = decide_revoke(
        NAMESPACE,
        revoke("P-1", asked=0, client=Client()),
        ROUTER,
        [],
        client=Client(),
        now=NOW,
    )
    asked = order(asked=5, duration=HOUR)
    patched = changed(asked, written(made), at(5))
    assert patched["revoked"] is False
    assert patched["client"] == {"macAddress": MAC, "ipAddress": IP}


def test_b2_a_revoke_by_mac_means_the_session_whose_address_was_pinned_to_it() -> (
    None
):
    asked = order().model_copy(update={"client": Client(ip=IP)})
    pinned = ours(
        asked,
        phase="Active",
        applied={"macAddress": MAC, "ipAddress": IP, "pinnedFor": IP},
    )
    for mac, address, hit in (
        (MAC, None, True),
        (MAC_2, None, False),
        (MAC_2, IP, False),
    ):
        ended = revoke(asked=1, client=Client(mac=mac, ip=address))
        writes = decide_revoke(
            NAMESPACE, ended, ROUTER, [pinned], client=ended.client, now=NOW
        )
        assert any(write.name == pinned.name for write in writes) is hit


def test_a1_name_label_and_annotation() -> None:
    asked = order("pão", asked=0, trace_id="t-1", duration=HOUR)
    made = written(decide(NAMESPACE, asked, PHONE, Known(ROUTER, NOW)))
    assert made.name == order_name(NAMESPACE, ROUTER, asked, PHONE)
    assert (
        made.metadata.labels["app.kubernetes.io/managed-by"]
        == "cerebro-bridge"
    )
    assert made.metadata.labels["relay.cerebro.dev/device"] == "router-1"
    assert len(made.metadata.labels["relay.cerebro.dev/order"]) == 40
    assert made.metadata.annotations["relay.cerebro.dev/trace-id"] == "t-1"
    assert made.spec.ttl_after_finished == timedelta(hours=24)
    assert made.spec.grant_before == NOW + timedelta(hours=24)
    trial = order("pão", type="Trial", duration=HOUR)
    other = written(decide(NAMESPACE, trial, PHONE, Known(ROUTER, NOW)))
    assert other.name != made.name
    assert other.spec.grant_before == NOW + timedelta(minutes=15)


def test_a5_grant_before_follows_the_windows_of_the_settings() -> None:
    windows = GrantWindows(trial=timedelta(minutes=2), paid=HOUR)
    known = Known(ROUTER, NOW, windows=windows)
    paid = written(
        decide(NAMESPACE, order("P-1", duration=HOUR), PHONE, known)
    )
    trial = written(
        decide(
            NAMESPACE, order("P-1", type="Trial", duration=HOUR), PHONE, known
        )
    )
    assert (paid.spec.grant_before, trial.spec.grant_before) == (
        NOW + HOUR,
        NOW + timedelta(minutes=2),
    )
    granted = ours(order("P-1", duration=HOUR))
    ended = granted.model_copy(
        update={"spec": granted.spec.model_copy(update={"revoked": True})}
    )
    later = order("P-1", asked=10, duration=HOUR)
    revived = decide(
        NAMESPACE,
        later,
        PHONE,
        Known(ROUTER, at(10), same=ended, windows=windows),
    )
    assert isinstance(revived, Patch)
    assert revived.body["spec"]["grantBefore"] == format_time(at(10) + HOUR)


def ours(asked: Authorize, **status: object) -> Session:
    made = written(decide(NAMESPACE, asked, asked.client, Known(ROUTER, NOW)))
    body = {
        "metadata": {
            "name": made.name,
            "labels": made.metadata.labels,
            "annotations": made.metadata.annotations,
        },
        "spec": made.spec.wire(),
    }
    return session(body, **status)


def changed(
    asked: Authorize, same: Session, now: datetime = NOW, **known: object
) -> dict[str, object]:
    """The spec that an order patches into its Session; empty when it leaves it alone."""
    write = decide(
        NAMESPACE,
        asked,
        asked.client,
        Known(ROUTER, now, same=same, **known),  # type: ignore[arg-type]
    )
    assert isinstance(write, Patch | Keep)
    return dict(write.body["spec"]) if isinstance(write, Patch) else {}


def test_a1_the_same_order_again_is_the_same_session() -> None:
    asked = order(duration=HOUR)
    active = {
        "phase": "Active",
        "authorizedAt": format_time(NOW),
        "expiresAt": format_time(at(3600)),
    }
    assert changed(asked, ours(asked, **active)) == {}
    later = order(asked=5, duration=HOUR)
    assert changed(later, ours(asked, **active)) == {
        "requestedAt": format_time(at(5))
    }


def test_a1_an_object_of_that_name_with_another_order_is_a_collision() -> None:
    other = ours(order())
    spoiled = other.model_copy(
        update={"spec": other.spec.model_copy(update={"order_id": "P-2"})}
    )
    with pytest.raises(ApiError) as caught:
        changed(order(), spoiled)
    assert (caught.value.status, caught.value.code) == (409, "name_collision")


def test_a1_a_revoked_one_is_opened_again_with_its_original_end() -> None:
    asked = order(duration=HOUR)
    granted = ours(
        asked,
        phase="Active",
        authorizedAt=format_time(NOW),
        expiresAt=format_time(at(3600)),
    )
    ended = granted.model_copy(
        update={
            "spec": granted.spec.model_copy(
                update={"revoked": True, "revoked_at": at(10)}
            )
        }
    )
    assert changed(order(asked=20, duration=HOUR), ended, at(20)) == {
        "expiresAt": format_time(at(3600)),
        "duration": None,
        "revoked": False,
        "grantBefore": format_time(at(20 + 86400)),
        "requestedAt": format_time(at(20)),
    }


@pytest.mark.parametrize(
    ("order_id", "kind"), [("P-1", "Paid"), ("trial:1", "Trial")]
)
def test_a5_an_order_that_follows_its_revoke_gets_its_own_end(
    order_id: str, kind: Any
) -> None:
    """The record of a revoke that met no Session has no end: opened, it must get the order's."""
    (made,) = decide_revoke(
        NAMESPACE, revoke(order_id, asked=0), ROUTER, [], client=PHONE, now=NOW
    )
    asked = order(order_id, asked=5, type=kind, duration=HOUR)
    patched = changed(asked, written(made), at(5))
    assert (patched["revoked"], patched["duration"]) == (False, "1h")


@pytest.mark.parametrize(
    "end", [{"expiresAt": format_time(at(3600))}, {"duration": "1h"}]
)
def test_a10_what_stands_in_for_a_revoked_one_keeps_its_end_when_opened_again(
    end: dict[str, str],
) -> None:
    started = {
        "phase": "Active",
        "authorizedAt": format_time(NOW),
        "expiresAt": format_time(at(3600)),
    }
    mine = by_hand(orderID="P-1", **end).model_copy(
        update={"status": ours(order(), **started).status}
    )
    (ended,) = decide_revoke(
        NAMESPACE,
        revoke("P-1", asked=5),
        ROUTER,
        [mine],
        client=PHONE,
        now=at(5),
    )
    stand_in = written(ended)
    known = Known(ROUTER, at(10), holder=mine, stand_in=stand_in)
    again = decide(NAMESPACE, order(asked=10, duration=3 * HOUR), PHONE, known)
    assert isinstance(again, Patch)
    spec = again.body["spec"]
    assert (spec["revoked"], spec["expiresAt"]) == (
        False,
        format_time(at(3600)),
    )


def test_a10_a_trial_that_a_person_made_is_not_opened_twice_either() -> None:
    started = {"phase": "Active", "authorizedAt": format_time(NOW)}
    mine = by_hand(orderID="trial:1", type="Trial").model_copy(
        update={"status": ours(order(), **started).status}
    )
    (ended,) = decide_revoke(
        NAMESPACE,
        revoke("trial:1", asked=5),
        ROUTER,
        [mine],
        client=PHONE,
        now=NOW,
    )
    known = Known(ROUTER, at(10), holder=mine, stand_in=written(ended))
    with pytest.raises(ApiError) as caught:
        decide(
            NAMESPACE, order("trial:1", asked=10, type="Trial"), PHONE, known
        )
    assert caught.value.code == "trial_used"


@pytest.mark.parametrize(
    ("end", "code"),
    [(None, "order_expired"), (at(3600), "order_expired"), (at(9000), None)],
)
def test_a1_an_expired_one_needs_a_later_end(
    end: datetime | None, code: str | None
) -> None:
    asked = order(duration=HOUR)
    expired = ours(
        asked,
        phase="Expired",
        authorizedAt=format_time(NOW),
        expiresAt=format_time(at(3600)),
    )
    again = order(asked=4000, expires_at=end, duration=None if end else HOUR)
    if code is None:
        assert changed(again, expired, at(4000))["expiresAt"] == format_time(
            at(9000)
        )
        return
    with pytest.raises(ApiError) as caught:
        changed(again, expired, at(4000))
    assert (caught.value.status, caught.value.code) == (409, code)


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_a1_a_trial_is_never_opened_twice(how: str) -> None:
    asked = order("trial:1", type="Trial", duration=timedelta(minutes=5))
    used = ours(
        asked,
        phase="Active",
        authorizedAt=format_time(NOW),
        expiresAt=format_time(at(300)),
    )
    if how == "revoked":
        used = used.model_copy(
            update={
                "spec": used.spec.model_copy(
                    update={"revoked": True, "revoked_at": at(5)}
                )
            }
        )
    now = at(400) if how == "expired" else at(10)
    again = order(
        "trial:1",
        asked=400,
        type="Trial",
        duration=timedelta(minutes=5),
        expires_at=at(9000),
    )
    with pytest.raises(ApiError) as caught:
        changed(again, used, now)
    assert (caught.value.status, caught.value.code) == (409, "trial_used")


def test_a1_a_failed_one_gets_a_new_grant_before() -> None:
    asked = order(duration=HOUR)
    now = at(100_000)
    patched = changed(order(asked=100_000), ours(asked, phase="Failed"), now)
    assert patched["grantBefore"] == format_time(now + timedelta(hours=24))


def test_a2_the_same_order_with_another_client_is_a_resync() -> None:
    asked = order(duration=HOUR)
    moved = order(asked=5).model_copy(update={"client": Client(mac=MAC_2)})
    assert changed(moved, ours(asked))["client"] == {
        "macAddress": MAC_2,
        "ipAddress": None,
    }
    stale = order(asked=-5).model_copy(update={"client": Client(mac=MAC_2)})
    assert changed(stale, ours(asked)) == {}, "an older request moves nobody"


def test_a2_on_another_device_the_remaining_time_goes_along() -> None:
    there = ours(
        order(duration=HOUR),
        phase="Active",
        authorizedAt=format_time(NOW),
        expiresAt=format_time(at(3600)),
    )
    other = device("router-2")
    known = Known(other, at(600), elsewhere=there)
    made = written(
        decide(NAMESPACE, order(asked=600, duration=HOUR), PHONE, known)
    )
    assert (made.spec.expires_at, made.spec.duration) == (at(3600), None)
    assert made.spec.device_ref.name == "router-2"
    with pytest.raises(ApiError) as caught:
        decide(
            NAMESPACE,
            order(asked=4000, duration=HOUR),
            PHONE,
            Known(other, at(4000), elsewhere=there),
        )
    assert caught.value.code == "order_expired"


def test_a2_the_remaining_time_of_a_superseded_session_goes_along() -> None:
    """A10: its own spec names no end, but the agent recorded the one of the Session in its place."""
    started = {
        "phase": "Active",
        "authorizedAt": format_time(NOW),
        "expiresAt": format_time(at(3600)),
    }
    superseded = by_hand(orderID="P-1").model_copy(
        update={
            "status": ours(order(), **started, observedGeneration=1).status
        }
    )
    known = Known(device("router-2"), at(600), elsewhere=superseded)
    made = written(
        decide(NAMESPACE, order(asked=600, duration=3 * HOUR), PHONE, known)
    )
    assert made.spec.expires_at == at(3600)


def test_a4_a_revoke_that_comes_while_a_failed_one_is_opened_again_ends_it() -> (
    None
):
    """Its status still says Failed, but of the spec before: the agent would grant it."""
    patched = changed(
        order(asked=5, duration=HOUR),
        ours(order(duration=HOUR), phase="Failed"),
    )
    assert "grantBefore" in patched
    failed = ours(
        order(asked=5, duration=HOUR), phase="Failed", observedGeneration=1
    )
    metadata = failed.metadata.model_copy(update={"generation": 2})
    known = Known(
        ROUTER,
        at(11),
        same=failed.model_copy(update={"metadata": metadata}),
        revokes=(Cause(at(10)),),
    )
    ended = overtaken(order(asked=5, duration=HOUR), known)
    assert isinstance(ended, Patch)
    assert ended.body["spec"] == {
        "revoked": True,
        "revokedAt": format_time(at(10)),
    }


def test_a2_the_older_one_is_revoked_once_the_newer_is_on_its_router() -> None:
    old = ours(order(duration=HOUR), phase="Active")
    made = decide(
        NAMESPACE,
        order(asked=5, duration=HOUR),
        PHONE,
        Known(device("router-2"), NOW, elsewhere=old),
    )
    new = written(made)
    assert retire(old, [old, new], NOW) is None, (
        "not while the newer is pending"
    )
    active = new.model_copy(
        update={"status": new.status.model_copy(update={"phase": "Active"})}
    )
    patch = retire(old, [old, active], NOW)
    assert isinstance(patch, Patch)
    assert patch.body["spec"] == {
        "revoked": True,
        "revokedAt": format_time(at(5)),
    }
    assert retire(active, [old, active], NOW) is None
    foreign = by_hand(orderID="P-1", requestedAt=format_time(NOW))
    stand_in = retire(foreign, [foreign, active], at(6))
    assert isinstance(stand_in, Create)
    assert written(stand_in).spec.revoked
    assert retire(foreign, [foreign, active, written(stand_in)], at(6)) is None


def test_a10_what_a_person_made_is_superseded_and_never_changed() -> None:
    mine = by_hand(orderID="P-1")
    kept = decide(
        NAMESPACE, order(), Client(mac=MAC), Known(ROUTER, NOW, holder=mine)
    )
    assert isinstance(kept, Keep)
    moved = written(
        decide(
            NAMESPACE,
            order(),
            Client(mac=MAC_2),
            Known(ROUTER, NOW, holder=mine),
        )
    )
    assert moved.spec.supersedes is not None
    assert (moved.spec.supersedes.name, moved.spec.ttl_after_finished) == (
        "by-hand",
        None,
    )
    (ended,) = decide_revoke(
        NAMESPACE, revoke(asked=1), ROUTER, [mine], client=PHONE, now=NOW
    )
    stand_in = written(ended)
    assert stand_in.spec.revoked
    again = decide_revoke(
        NAMESPACE,
        revoke(asked=2),
        ROUTER,
        [mine, stand_in],
        client=PHONE,
        now=NOW,
    )
    assert [type(write) for write in again] == [Keep], (
        "the one that stands in for it is what counts"
    )


def test_a6_a_phone_with_a_new_address_takes_its_live_sessions_along() -> None:
    live = ours(order(duration=HOUR), phase="Active")
    hello = Hello(
        mik_id="router-1",
        token="t",
        client=Client(mac=MAC_2, ip=IP),
        requested_at=at(5),
    )
    (write,) = decide_move(NAMESPACE, hello, ROUTER, [live], NOW)
    assert isinstance(write, Patch)
    assert write.body["spec"] == {
        "client": {"macAddress": MAC_2, "ipAddress": IP}
    }
    assert decide_move(NAMESPACE, hello, device("router-2"), [live], NOW) == []


def test_a11_a_known_end_goes_into_the_spec_of_our_own_sessions() -> None:
    granted = ours(
        order(duration=HOUR),
        phase="Active",
        expiresAt=format_time(at(3600)),
        observedGeneration=1,
    )
    patch = pin_end(granted)
    assert patch is not None
    assert patch.body["spec"] == {
        "expiresAt": format_time(at(3600)),
        "duration": None,
    }
    foreign = by_hand(duration="1h").model_copy(
        update={"status": granted.status}
    )
    assert pin_end(foreign) is None


@pytest.mark.parametrize("make", [order, revoke])
def test_intents_survive_the_store(
    make: Callable[[], Authorize | Revoke],
) -> None:
    assert load(dump(make())) == make()

"""Decisions about hotspot users that callers want (F8, A1, A4, A5, A10). Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Cause, EnsureUser, dump, lane_of, load
from cerebro.bridge.orders.decide import Known
from cerebro.bridge.orders.users.decide import (
    decide_user,
    secret_of,
    uses_secret,
)
from cerebro.bridge.orders.writes import Create, Keep, Patch, revoke_write
from cerebro.resources import Session, format_time
from cerebro.resources.naming import LABEL_USER_SECRET, place_of_user
from support.orders import NAMESPACE, NOW, apply, at, by_hand, device, session

FIRST = "router-1-user-aaaaaaaaaa-00000001"
AGAIN = "router-1-user-aaaaaaaaaa-00000002"
OTHER = "router-1-user-bbbbbbbbbb-00000003"
HOUR = timedelta(hours=1)
ROUTER = device()


def wish(asked: float = 0, **fields: Any) -> EnsureUser:
    given = {"user": "guest", "secret": FIRST, **fields}
    return EnsureUser(
        mik_id="router-1",
        requested_at=at(asked),
        order_id=place_of_user("router-1", "guest"),
        **given,
    )


def known(same: Session | None = None, **fields: Any) -> Known:
    return Known(ROUTER, fields.pop("now", NOW), same=same, **fields)


def made(**fields: Any) -> Session:
    """The Session that the first call made."""
    write = decide_user(NAMESPACE, wish(**fields), known())
    assert isinstance(write, Create)
    return session(dict(write.body))


def with_status(one: Session, **status: Any) -> Session:
    return Session.model_validate({**one.wire(), "status": status})


def changed(one: Session, **fields: Any) -> dict[str, Any]:
    """What a call changes of the Session."""
    now = fields.pop("now", NOW)
    write = decide_user(NAMESPACE, wish(**fields), known(one, now=now))
    assert isinstance(write, Patch), write
    return dict(write.body["spec"])


def refused(wanted: EnsureUser, **fields: Any) -> str:
    with pytest.raises(ApiError) as caught:
        decide_user(NAMESPACE, wanted, known(**fields))
    assert caught.value.status == 409
    return caught.value.code


def test_f8_a_user_is_a_session_that_names_no_client_and_no_password() -> None:
    write = decide_user(
        NAMESPACE, wish(profile="gold", duration=HOUR), known()
    )
    assert isinstance(write, Create)
    spec = write.body["spec"]
    assert spec["hotspotUser"] == {
        "name": "guest",
        "profile": "gold",
        "passwordSecretRef": {"name": FIRST},
    }
    assert (spec["orderID"], spec["duration"]) == ("user:router-1:guest", "1h")
    assert not spec.get("client")
    assert spec["grantBefore"] == format_time(NOW + timedelta(hours=24))
    assert LABEL_USER_SECRET in write.body["metadata"]["labels"]
    assert uses_secret(write, wish())


def test_f8_what_is_kept_of_a_call_has_no_password_and_a_lane_of_its_user() -> (
    None
):
    intent = wish(profile="gold", expires_at=at(60))
    assert load(dump(intent)) == intent
    assert lane_of(intent, None) == "user:router-1:guest"
    assert "password" not in dump(intent)


def test_f8_the_same_call_again_changes_nothing() -> None:
    there = made(profile="gold", duration=HOUR)
    repeat = wish(asked=60, secret=AGAIN, profile="gold", duration=HOUR)
    write = decide_user(NAMESPACE, repeat, known(there))
    assert isinstance(write, Keep)
    assert not uses_secret(write, repeat)


def test_a4_that_a_user_was_asked_for_again_is_noted_when_it_matters() -> None:
    write = decide_user(
        NAMESPACE, wish(asked=121, secret=AGAIN), known(made())
    )
    assert isinstance(write, Patch)
    assert write.body["spec"] == {"requestedAt": format_time(at(121))}
    assert write.noted_at == 1, "nothing to a router"


def test_f8_another_password_or_profile_changes_the_user() -> None:
    there = made(profile="gold")
    password = changed(there, asked=1, secret=OTHER, profile="gold")
    assert password["hotspotUser"]["passwordSecretRef"] == {"name": OTHER}
    assert password["requestedAt"] == format_time(at(1))
    profile = changed(there, asked=1, secret=AGAIN, profile="silver")
    assert profile["hotspotUser"] == {
        "name": "guest",
        "profile": "silver",
        "passwordSecretRef": {"name": FIRST},
    }
    default = changed(there, asked=1, secret=AGAIN)
    assert default["hotspotUser"]["profile"] is None


def test_a_call_that_is_carried_out_again_changes_nothing() -> None:
    """A bridge died in between: its Secret may be gone, for a later call changed the password."""
    sessions: dict[str, Session] = {}
    apply(decide_user(NAMESPACE, wish(), known()), sessions)
    (there,) = sessions.values()
    later = decide_user(NAMESPACE, wish(asked=1, secret=OTHER), known(there))
    apply(later, sessions)
    (there,) = sessions.values()
    again = decide_user(NAMESPACE, wish(), known(there))
    assert isinstance(again, Keep)
    assert secret_of(again.session) == OTHER


def test_a5_minutes_do_not_prolong_and_a_later_end_does() -> None:
    there = made(expires_at=at(600))
    short = wish(asked=1, secret=AGAIN, duration=HOUR)
    assert isinstance(decide_user(NAMESPACE, short, known(there)), Keep)
    longer = changed(there, asked=1, secret=AGAIN, expires_at=at(900))
    assert longer["expiresAt"] == format_time(at(900))
    assert "hotspotUser" not in longer
    for same in (None, there):
        past = wish(asked=1, expires_at=at(0))
        assert refused(past, same=same) == "order_expired"
    default = decide_user(NAMESPACE, wish(), known(default_paid=HOUR))
    assert isinstance(default, Create)
    assert default.body["spec"]["duration"] == "1h"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ({"duration": HOUR}, format_time(at(4200))),
        ({"expires_at": at(900)}, format_time(at(900))),
        ({}, None),
    ],
)
def test_f8_a_user_whose_time_is_over_is_opened_anew(
    end: dict[str, Any], expected: str | None
) -> None:
    over = with_status(
        made(expires_at=at(300)),
        phase="Expired",
        finished=True,
        observedGeneration=1,
        expiresAt=format_time(at(300)),
    )
    spec = changed(over, asked=600, now=at(600), secret=AGAIN, **end)
    assert (spec["expiresAt"], spec["duration"]) == (expected, None)
    assert spec["revoked"] is False
    assert spec["hotspotUser"]["passwordSecretRef"] == {"name": AGAIN}
    assert spec["grantBefore"]


def test_a4_a_user_that_was_revoked_is_opened_by_a_later_call_only() -> None:
    sessions = {"": made()}
    (there,) = sessions.values()
    ending = revoke_write(there, Cause(at(10)))
    apply(ending, {there.name: there})
    revoked = session(
        {
            **there.wire(),
            "spec": {
                **there.spec.wire(),
                "revoked": True,
                "revokedAt": format_time(at(10)),
            },
        }
    )
    assert refused(wish(asked=5), same=revoked) == "revoked_later"
    assert refused(wish(asked=5), revokes=(Cause(at(10)),)) == "revoked_later"
    spec = changed(revoked, asked=20, secret=AGAIN)
    assert spec["revoked"] is False
    assert spec["hotspotUser"]["passwordSecretRef"] == {"name": AGAIN}


def test_a1_a_user_that_was_never_granted_gets_a_new_chance() -> None:
    failed = with_status(made(), phase="Failed", observedGeneration=1)
    spec = changed(failed, asked=60, secret=AGAIN)
    assert spec["grantBefore"] == format_time(NOW + timedelta(hours=24))
    assert spec["hotspotUser"]["passwordSecretRef"] == {"name": AGAIN}


def test_a10_a_session_that_others_made_is_left_alone() -> None:
    theirs = by_hand(hotspotUser={"name": "guest"})
    assert refused(wish(), holder=theirs) == "user_not_ours"
    assert refused(wish(), same=theirs) == "user_not_ours"
    other = made()
    spec = other.spec.model_copy(update={"order_id": "P-1"})
    collision = other.model_copy(update={"spec": spec})
    assert refused(wish(asked=1), same=collision) == "name_collision"


def test_a_record_of_a_revoke_becomes_the_user() -> None:
    """The revoke came before its user: its record has the user's name."""
    record = made().model_copy()
    spec = record.spec.model_copy(
        update={
            "hotspot_user": None,
            "revoked": True,
            "revoked_at": at(0),
            "requested_at": at(0),
        }
    )
    opened = changed(record.model_copy(update={"spec": spec}), asked=5)
    assert opened["hotspotUser"]["name"] == "guest"
    assert opened["revoked"] is False


def test_a3_a_place_fits_into_an_order_whatever_the_device_is_called() -> None:
    short, long = (
        place_of_user("bus05", "guest"),
        place_of_user("b" * 200, "g"),
    )
    assert short == "user:bus05:guest"
    assert long.startswith("user:")
    assert len(long) <= 128
    assert long != place_of_user("b" * 201, "g")
    assert replace(known(), same=None).same is None

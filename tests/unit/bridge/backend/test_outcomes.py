"""What the Session of an event says of the event (F2, F3, F5)."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.bridge.backend.outcomes import (
    DONE,
    AwaitedSession,
    Awaits,
    Outcome,
    ack_body,
    failed,
    outcome_of,
    read_awaits,
)
from cerebro.bridge.errors import ApiError, invalid, unknown_device
from cerebro.bridge.orders.outcomes import Awaited
from cerebro.resources import Session
from support.orders import MAC_2, PHONE
from support.orders import session as make_session

GRANT = AwaitedSession(name="s", generation=2, wanted=Awaited.GRANT)
END = AwaitedSession(name="s", generation=2, wanted=Awaited.END)


def session(
    generation: int = 2,
    *,
    observed: int = 2,
    revoked: bool = False,
    mac: str | None = PHONE.mac,
    phase: str = "Pending",
    enforced: tuple[str, str] | None = None,
    ready: tuple[str, str] | None = None,
    **status: Any,
) -> Session:
    conditions = [
        {
            "type": kind,
            "status": said[0],
            "reason": said[1],
            "message": "why",
            "observedGeneration": observed,
            "lastTransitionTime": "2026-01-02T12:00:00Z",
        }
        for kind, said in (("Enforced", enforced), ("Ready", ready))
        if said is not None
    ]
    body = {
        "metadata": {"name": "s", "namespace": "test"},
        "spec": {
            "deviceRef": {"name": "router-1"},
            "client": {"macAddress": mac},
            "revoked": revoked,
        },
    }
    made = make_session(
        body,
        phase=phase,
        observedGeneration=observed,
        conditions=conditions,
        **status,
    )
    metadata = made.metadata.model_copy(update={"generation": generation})
    return made.model_copy(update={"metadata": metadata})


def reason(outcome: Outcome | None) -> str | None:
    return None if outcome is None else outcome.reason or "done"


GRANTED = ("True", "Active")


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (session(), None),
        (session(phase="Active", enforced=GRANTED, observed=1), None),
        (session(phase="Active", enforced=GRANTED), "done"),
        (session(3, phase="Active", enforced=GRANTED, observed=3), "done"),
        (session(3, phase="Active", enforced=GRANTED, mac=MAC_2), "superseded"),
        (session(3, revoked=True), "superseded"),
        (session(ready=("False", "Paused")), None),
        (session(enforced=("False", "BlockedByHand")), None),
        (session(phase="Failed", ready=("False", "NeverGranted")), "never_granted"),
        (session(phase="Failed", ready=("False", "Refused")), "session_failed"),
        (session(phase="Failed", ready=("False", "RouterOffline")), "peer_offline"),
        (session(phase="Expired"), "order_expired"),
        (session(phase="Expired", authorizedAt="2026-01-02T12:00:00Z"), "done"),
        (None, "session_deleted"),
    ],
)  # fmt: skip
def test_the_outcome_of_a_grant(
    shown: Session | None, said: str | None
) -> None:
    assert reason(outcome_of(shown, GRANT, PHONE)) == said


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (session(revoked=True), None),
        (session(revoked=True, phase="Revoked", enforced=("True", "x")), "done"),
        (session(revoked=True, phase="Revoked", enforced=("False", "Ending")), None),
        (session(revoked=True, phase="Revoked", enforced=("False", "GrantedByHand")), None),
        (session(phase="Expired", enforced=("True", "x")), "done"),
        (session(3, phase="Active"), "superseded"),
        (session(3, revoked=True), None),
        (None, "session_deleted"),
    ],
)  # fmt: skip
def test_the_outcome_of_an_end(
    shown: Session | None, said: str | None
) -> None:
    assert reason(outcome_of(shown, END, PHONE)) == said


def test_a_device_in_dry_run_counts_as_done() -> None:
    outcome = outcome_of(session(ready=("False", "DryRun")), GRANT, PHONE)
    assert outcome is not None
    assert outcome.payload() == {"ok": True, "dryRun": True}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (unknown_device("R9"), "unknown_router"),
        (invalid("mac must be string"), "validation"),
        (ApiError(409, "trial_used", "used"), "trial_used"),
        (ApiError(503, "too_late", "late"), "too_late"),
        (RuntimeError("a secret"), "internal_error"),
    ],
)
def test_what_was_refused_says_why_and_nothing_of_our_faults(
    error: Exception, said: str
) -> None:
    outcome = failed(error)
    assert (outcome.ok, outcome.reason) == (False, said)
    assert "secret" not in ack_body("e", outcome)


def test_what_an_event_waits_for_is_read_as_it_was_written() -> None:
    awaits = Awaits(
        type="RELEASE_REQUESTED",
        device="router-1",
        client=PHONE,
        sessions=(GRANT, END),
    )
    assert read_awaits(awaits.text()) == awaits
    for text in ("", "{}", "no JSON"):
        assert read_awaits(text) is None
    assert DONE.ok

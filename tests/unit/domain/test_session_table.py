"""When a Session ends, whether it is live, and what its end is called, for many Sessions (rules A1, A5, A10).

`session_table.txt` has a row for each phase, revoked or not, kind of end in the spec, and whether the status was made
from this spec. Its nine cells are the values of status.authorizedAt (none, ten minutes ago, two hours ago) times those
of status.expiresAt (none, three minutes ago, in two hours). A cell is `verdict/facts/ended_as`:

* `judge`, as the agent sees the Session that counts: L live, E Expired, R Revoked, F Failed; then the end
* `session_facts`, for bridge and operator: L live, E ended by the clock, - neither; then the end
* how it ended by its own terms: E Expired, R Revoked, - it did not

Ends: n none, P F spec.expiresAt (passed, to come), p f status.expiresAt, S O authorizedAt and the duration (to come,
passed), d a duration that starts with the grant.

Verdict and facts differ only where status.expiresAt is not what this spec gives: it may come from a superseding one,
which the agent has taken in before it judges.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cerebro.domain.lifecycle import (
    GrantWindows,
    RouterObservation,
    grant_deadline,
    judge,
    session_facts,
)
from cerebro.resources import Session

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
WINDOWS = GrantWindows()
CREATED = NOW - 3 * HOUR

PHASES = ("None", "Pending", "Active", "Expired", "Revoked", "Failed")
ENDS_IN_SPEC: dict[str, dict[str, Any]] = {
    "never": {},
    "past": {"expiresAt": NOW - MINUTE},
    "future": {"expiresAt": NOW + HOUR},
    "duration": {"duration": "30m"},
}
GENERATION = 2
OBSERVED = {"current": GENERATION, "changed": GENERATION - 1}
AUTHORIZED = (None, NOW - 10 * MINUTE, NOW - 2 * HOUR)
RECORDED = (None, NOW - 3 * MINUTE, NOW + 2 * HOUR)
END_LETTERS = {
    None: "n",
    NOW - MINUTE: "P",
    NOW + HOUR: "F",
    NOW - 3 * MINUTE: "p",
    NOW + 2 * HOUR: "f",
    NOW + 20 * MINUTE: "S",
    NOW - 90 * MINUTE: "O",
}
KEYS = list(
    itertools.product(PHASES, ("kept", "revoked"), ENDS_IN_SPEC, OBSERVED)
)
TABLE = Path(__file__).with_name("session_table.txt")


def session(status: dict[str, Any], **spec: Any) -> Session:
    known = {
        name: value for name, value in status.items() if value is not None
    }
    return Session.model_validate(
        {
            "metadata": {
                "name": "s",
                "namespace": "ns",
                "uid": "u",
                "generation": GENERATION,
                "creationTimestamp": CREATED,
            },
            "spec": {
                "deviceRef": {"name": "r1"},
                "client": {"macAddress": "AA:00:00:00:00:01"},
                **spec,
            },
            "status": known,
        }
    )


def cell(item: Session) -> str:
    verdict = judge(item, RouterObservation(NOW), WINDOWS)
    agent = verdict.phase[0] if verdict.phase else "L"
    agent += "d" if verdict.starts_now else END_LETTERS[verdict.end]
    facts = session_facts(item, NOW)
    assert not (facts.live and facts.ended_by_clock)
    bridge = "L" if facts.live else "E" if facts.ended_by_clock else "-"
    bridge += END_LETTERS[facts.ends_at]
    return f"{agent}/{bridge}/{facts.ended_as[0] if facts.ended_as else '-'}"


def row(phase: str, revoked: str, end: str, observed: str) -> str:
    cells = []
    for authorized_at, expires_at in itertools.product(AUTHORIZED, RECORDED):
        status = {
            "phase": None if phase == "None" else phase,
            "observedGeneration": OBSERVED[observed],
            "authorizedAt": authorized_at,
            "expiresAt": expires_at,
        }
        cells.append(
            cell(
                session(
                    status, revoked=revoked == "revoked", **ENDS_IN_SPEC[end]
                )
            )
        )
    return f"{phase:<8}{revoked:<8}{end:<9}{observed:<8}" + " ".join(cells)


@pytest.mark.parametrize(
    "number", range(len(KEYS)), ids=[" ".join(key) for key in KEYS]
)
def test_verdict_and_facts_are_those_of_the_table(number: int) -> None:
    expected = TABLE.read_text().splitlines()
    assert len(expected) == len(KEYS)
    assert row(*KEYS[number]) == expected[number]


@pytest.mark.parametrize("finished", [None, False, True])
@pytest.mark.parametrize("observed", [None, 1, 2, 3])
def test_finished_counts_for_the_generation_that_it_was_said_of(
    finished: bool | None, observed: int | None
) -> None:
    item = session(
        {
            "phase": "Revoked",
            "finished": finished,
            "observedGeneration": observed,
        }
    )
    expected = (
        finished is True and observed is not None and observed >= GENERATION
    )
    assert session_facts(item, NOW).finished is expected


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("observed", [None, 1, 2, 3])
def test_a_session_is_opened_again_by_a_change_after_its_end(
    phase: str, observed: int | None
) -> None:
    item = session(
        {
            "phase": None if phase == "None" else phase,
            "observedGeneration": observed,
        }
    )
    ended, changed = (
        phase in ("Expired", "Revoked", "Failed"),
        observed in (None, 1),
    )
    assert session_facts(item, NOW).reopened is (ended and changed)


@pytest.mark.parametrize("kind", ["Trial", "Paid"])
@pytest.mark.parametrize("grant_before", [None, NOW + MINUTE])
@pytest.mark.parametrize("reopened_at", [None, NOW - MINUTE])
def test_a5_the_time_for_the_grant_counts_from_the_creation_or_the_reopening(
    kind: str, grant_before: datetime | None, reopened_at: datetime | None
) -> None:
    status = {
        "phase": "Pending",
        "observedGeneration": GENERATION,
        "reopenedAt": reopened_at,
    }
    item = session(
        status,
        type=kind,
        **({"grantBefore": grant_before} if grant_before else {}),
    )
    within = timedelta(minutes=15) if kind == "Trial" else timedelta(hours=24)
    expected = grant_before or (reopened_at or CREATED) + within
    assert grant_deadline(item, WINDOWS, NOW) == expected


def test_a10_the_end_of_a_superseded_session_is_the_recorded_one() -> None:
    """Its own spec names no end: what the agent recorded is that of the Session in its place."""
    status = {
        "phase": "Active",
        "authorizedAt": NOW - HOUR,
        "expiresAt": NOW + HOUR,
    }
    facts = session_facts(
        session({**status, "observedGeneration": GENERATION}), NOW
    )
    assert (facts.live, facts.ends_at) == (True, NOW + HOUR)
    changed = session_facts(
        session({**status, "observedGeneration": GENERATION - 1}), NOW
    )
    assert changed.ends_at is None, (
        "the end was taken out of the spec, and the agent has not seen it yet"
    )


def test_a1_what_was_over_when_it_was_revoked_stays_expired() -> None:
    item = session({"phase": "Expired"}, expiresAt=NOW - MINUTE, revoked=True)
    assert (
        session_facts(item, NOW).ended_as
        == judge(item, RouterObservation(NOW), WINDOWS).phase
        == "Expired"
    )

"""When a Session ends, whether it is live, and what its end is called: agent, bridge and operator on the same Sessions.

`session_table.txt` has a row for each phase, revoked or not, kind of end in the spec, and whether the status was made
from this spec. Its nine cells are the values of status.authorizedAt (none, ten minutes ago, two hours ago) times those
of status.expiresAt (none, three minutes ago, in two hours). A cell is `agent/bridge/operator`:

* agent: L live, E Expired, R Revoked, F Failed; then the end
* bridge: L live, E ended by the clock, - neither; then the end
* operator, of a Session without a Device: E Expired, R Revoked, - not over by its own terms

Ends: n none, P F spec.expiresAt (passed, to come), p f status.expiresAt, S O authorizedAt and the duration (to come,
passed), d a duration that starts with the grant.
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
    end_of,
    ended_by_clock,
    grant_deadline,
    is_finished,
    is_live,
    is_over,
    judge,
    reopens,
)
from cerebro.operator.orphans import plan as orphans
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
KEYS = list(itertools.product(PHASES, ("kept", "revoked"), ENDS_IN_SPEC, OBSERVED))
TABLE = Path(__file__).with_name("session_table.txt")


def session(status: dict[str, Any], **spec: Any) -> Session:
    known = {name: value for name, value in status.items() if value is not None}
    return Session.model_validate(
        {
            "metadata": {
                "name": "s",
                "namespace": "ns",
                "uid": "u",
                "generation": GENERATION,
                "creationTimestamp": CREATED,
            },
            "spec": {"deviceRef": {"name": "r1"}, "client": {"macAddress": "AA:00:00:00:00:01"}, **spec},
            "status": known,
        }
    )


def cell(item: Session) -> str:
    verdict = judge(item, RouterObservation(NOW), WINDOWS)
    agent = verdict.phase[0] if verdict.phase else "L"
    agent += "d" if verdict.starts_now else END_LETTERS[verdict.end]
    live, ended = is_live(item, NOW), ended_by_clock(item, NOW)
    assert not (live and ended)
    bridge = "L" if live else "E" if ended else "-"
    bridge += END_LETTERS[end_of(item)]
    ended_phase = orphans._ended_phase(item, NOW)
    return f"{agent}/{bridge}/{ended_phase[0] if ended_phase else '-'}"


def row(phase: str, revoked: str, end: str, observed: str) -> str:
    cells = []
    for authorized_at, expires_at in itertools.product(AUTHORIZED, RECORDED):
        status = {
            "phase": None if phase == "None" else phase,
            "observedGeneration": OBSERVED[observed],
            "authorizedAt": authorized_at,
            "expiresAt": expires_at,
        }
        cells.append(cell(session(status, revoked=revoked == "revoked", **ENDS_IN_SPEC[end])))
    return f"{phase:<8}{revoked:<8}{end:<9}{observed:<8}" + " ".join(cells)


@pytest.mark.parametrize("number", range(len(KEYS)), ids=[" ".join(key) for key in KEYS])
def test_agent_bridge_and_operator_say_what_the_table_says(number: int) -> None:
    expected = TABLE.read_text().splitlines()
    assert len(expected) == len(KEYS)
    assert row(*KEYS[number]) == expected[number]


@pytest.mark.parametrize("finished", [None, False, True])
@pytest.mark.parametrize("observed", [None, 1, 2, 3])
def test_finished_counts_for_the_generation_that_it_was_said_of(
    finished: bool | None, observed: int | None
) -> None:
    item = session({"phase": "Revoked", "finished": finished, "observedGeneration": observed})
    expected = finished is True and observed is not None and observed >= GENERATION
    assert is_finished(item) is is_over(item) is expected


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("observed", [None, 1, 2, 3])
def test_a_session_is_opened_again_by_a_change_after_its_end(phase: str, observed: int | None) -> None:
    item = session({"phase": None if phase == "None" else phase, "observedGeneration": observed})
    ended, changed = phase in ("Expired", "Revoked", "Failed"), observed in (None, 1)
    assert reopens(item) is (ended and changed)


@pytest.mark.parametrize("kind", ["Trial", "Paid"])
@pytest.mark.parametrize("grant_before", [None, NOW + MINUTE])
@pytest.mark.parametrize("reopened_at", [None, NOW - MINUTE])
def test_a5_the_time_for_the_grant_counts_from_the_creation_or_the_reopening(
    kind: str, grant_before: datetime | None, reopened_at: datetime | None
) -> None:
    status = {"phase": "Pending", "observedGeneration": GENERATION, "reopenedAt": reopened_at}
    item = session(status, type=kind, **({"grantBefore": grant_before} if grant_before else {}))
    within = timedelta(minutes=15) if kind == "Trial" else timedelta(hours=24)
    expected = grant_before or (reopened_at or CREATED) + within
    assert grant_deadline(item, WINDOWS) == orphans.grant_deadline(item, WINDOWS, NOW) == expected

"""The status of a DeviceCommand: that it runs, and what came of it, within its
bounds and without anything secret (rule C3). Pure.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from cerebro.agent.devices.commands.sensitive import masked_row, masked_text
from cerebro.domain.conditions import ConditionState, judgement
from cerebro.resources import DeviceCommand, format_time, reasons
from cerebro.routeros.client.command import Row

MOST_BYTES = 512 * 1024
"""Bytes of JSON that all results of a command have at most."""
_MOST_ROWS, _MOST_PROPERTIES = 16_384, 256
_LONGEST_VALUE, _LONGEST_MESSAGE = 65_536, 4096
"""Bounds of the schema, in characters."""

Phase = Literal["Succeeded", "Failed", "Denied"]


@dataclass(frozen=True, slots=True)
class SentenceResult:
    """What one sentence brought: rows, or the router's refusal."""

    rows: Sequence[Row] = ()

    refusal: str | None = None
    """In the router's words; None if it took the sentence."""

    category: int | None = None
    """The category of the refusal, 0 to 7, where the router gave one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command."""

    phase: Phase

    reason: str

    message: str

    results: Sequence[SentenceResult] = ()

    hidden: Collection[str] = field(default=(), repr=False)
    """Values of the command's Secret, which must not be shown."""


def outcome_of(
    results: Sequence[SentenceResult], hidden: Collection[str] = ()
) -> Outcome:
    """Return the outcome of a command all of whose sentences were answered."""
    refused = [
        result.refusal for result in results if result.refusal is not None
    ]

    if not refused:
        return Outcome(
            "Succeeded",
            reasons.SUCCEEDED,
            "the router took all sentences",
            results,
            hidden,
        )

    return Outcome(
        "Failed",
        reasons.SENTENCE_REFUSED,
        f"the router refused {len(refused)} of {len(results)} sentences: {refused[0]}",
        results,
        hidden,
    )


def running_status(command: DeviceCommand, now: datetime) -> dict[str, Any]:
    """Return the status of a command that is about to run, as a merge patch;
    `now` is aware.
    """
    state = ConditionState("False", "Running", "the command runs")

    return {
        "phase": "Running",
        "startedAt": format_time(now),
        **_judgement(command, state, now),
    }


def ended_status(
    command: DeviceCommand, outcome: Outcome, now: datetime
) -> dict[str, Any]:
    """Return the status of a command that is over, as a merge patch; `now` is
    aware.
    """
    state = ConditionState(
        "True" if outcome.phase == "Succeeded" else "False",
        outcome.reason,
        masked_text(outcome.message, outcome.hidden),
    )

    results, truncated = _bounded(outcome)
    status: dict[str, Any] = {
        "phase": outcome.phase,
        "finished": True,
        "finishedAt": format_time(now),
        **_judgement(command, state, now),
    }

    if results:
        status["results"] = results

    if truncated:
        status["truncated"] = True

    return status


def without_results(status: dict[str, Any]) -> dict[str, Any]:
    """Return a status whose results the API server would not take, without
    them.
    """

    return {**status, "results": None, "truncated": True}


def _judgement(
    command: DeviceCommand, state: ConditionState, now: datetime
) -> dict[str, Any]:
    return judgement(
        command.kind,
        command.status.conditions,
        {"Complete": state, "Ready": state},
        command.metadata.generation,
        now,
    )


def _bounded(outcome: Outcome) -> tuple[list[dict[str, Any]], bool]:
    """Return the results as they are written, and whether something of them
    was left out.
    """
    left = MOST_BYTES
    truncated = False
    written: list[dict[str, Any]] = []

    for result in outcome.results:
        rows: list[Row] = []

        for row in result.rows:
            shown, cut = _shown(row, outcome.hidden)
            size = len(json.dumps(shown).encode()) + 1

            if size > left or len(rows) == _MOST_ROWS:
                truncated = True
                break

            left -= size
            truncated = truncated or cut
            rows.append(shown)

        written.append(_wire(result, rows, outcome.hidden))

    return written, truncated


def _wire(
    result: SentenceResult, rows: list[Row], hidden: Collection[str]
) -> dict[str, Any]:
    wire: dict[str, Any] = {"ok": result.refusal is None}

    if rows:
        wire["rows"] = rows

    if result.refusal is not None:
        message = masked_text(_text(result.refusal), hidden)
        error: dict[str, Any] = {"message": message[:_LONGEST_MESSAGE]}

        if result.category is not None and 0 <= result.category <= 7:
            error["category"] = result.category

        wire["error"] = error

    return wire


def _shown(row: Row, hidden: Collection[str]) -> tuple[Row, bool]:
    """Return a row as it may be shown, and whether something of it was cut."""
    readable = {_text(name): _text(value) for name, value in row.items()}
    masked = masked_row(readable, hidden)

    kept = dict(list(masked.items())[:_MOST_PROPERTIES])
    cut = {name: value[:_LONGEST_VALUE] for name, value in kept.items()}

    return cut, cut != masked


def _text(text: str) -> str:
    """Return a router's text as JSON can carry it: bytes that are no UTF-8
    become U+FFFD.
    """

    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

"""What the end of a DeviceCommand means for the caller who waits for it: a
result, or an error (C2, F10). Pure.
"""

from __future__ import annotations

from typing import NoReturn

from cerebro.bridge.commands.request import CommandRequest
from cerebro.bridge.errors import ApiError
from cerebro.resources import DeviceCommand, reasons

_LOGIN_REASONS = frozenset({"LoginRefused", "SecretNotUsable"})
"""Reasons of a router that takes no login with the Device's Secret."""


def check_outcome(request: CommandRequest, command: DeviceCommand) -> None:
    """Return if a finished command did all that it was to do.

    Raises ApiError 403 for what the Device does not allow; 503 for what surely
    did not run; 500 or 504 if nobody knows; 502 for what the router refused,
    500 if a part of it was done.
    """
    status = command.status

    if status.phase == "Succeeded":
        return

    reason, message = _cause(command)

    if status.phase == "Denied":
        raise ApiError(403, "command_denied", message, reason=reason)

    if reason == reasons.SENTENCE_REFUSED:
        _raise_refused(request, command, message)

    if status.started_at is not None:
        raise outcome_unknown(request, message)

    _raise_not_run(reason, message)


def outcome_unknown(request: CommandRequest, why: str) -> ApiError:
    """Return the error for a command that may have run: 504 for what only
    reads, so that callers send it once more; else 500, so that they do not.
    """

    if request.may_be_repeated:
        return ApiError(504, "MIKROTIK_TIMEOUT", f"no answer in time: {why}")

    return ApiError(
        500,
        "exec_outcome_unknown",
        f"it may have run: look at the router before sending it once more ({why})",
    )


def not_run_in_time() -> ApiError:
    """Return the error for a command that was deleted before it began."""

    return ApiError(
        503,
        "router_timeout",
        "the router could not be asked in time; nothing was run",
    )


def _cause(command: DeviceCommand) -> tuple[str, str]:
    """Return reason and message of how a command ended."""
    condition = command.status.condition("Complete")

    if condition is None:
        return "Unknown", "it ended without saying why"

    return condition.reason, condition.message or condition.reason


def _raise_refused(
    request: CommandRequest, command: DeviceCommand, message: str
) -> NoReturn:
    """Raise ApiError for a refused sentence, with the results.

    Clients send a call once more after 502, so that is said only if nothing
    was changed.
    """
    results = command.status.results or []
    done = any(result.ok or result.rows for result in results)
    changed = done and not request.may_be_repeated

    raise ApiError(
        500 if changed else 502,
        "EXEC_ERROR",
        message,
        results=[
            {
                "ok": result.ok,
                "data": result.rows,
                "error": result.error.message if result.error else None,
            }
            for result in results
        ],
    )


def _raise_not_run(reason: str, message: str) -> NoReturn:
    """Raise ApiError 503 for a command that surely did not run."""

    if reason in _LOGIN_REASONS:
        code = "MIKROTIK_AUTH_FAILED"
    elif reason == reasons.TOO_LATE:
        code = "router_timeout"
    elif reason == reasons.WRONG_ROUTER:
        code = "wrong_router"
    else:
        code = "MIKROTIK_UNREACHABLE"

    raise ApiError(503, code, message, reason=reason)

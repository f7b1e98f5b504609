"""What a call to the API server can end with, as few kinds as callers treat differently, each saying whether
to try again.

The one place where answers become errors. Messages name the object and what the server said, never a Secret's
content.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

_MESSAGE_SIZE = 500


class KubeError(Exception):
    """A call that did not succeed; `retry` says whether the same call can succeed later, `status` is the HTTP
    status.
    """

    retry: ClassVar[bool] = False

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Unavailable(KubeError):
    """Passing trouble: no connection, time out, 401, 403, 404 of a whole collection, 405, 429, 5xx. Wait and
    try again.
    """

    retry = True

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Expired(Unavailable):
    """A paged list took so long that the server forgot its beginning (410): begin anew."""


class NotFound(KubeError):
    """The object does not exist, though its kind is served."""


class AlreadyExists(KubeError):
    """An object of that name exists."""


class Conflict(KubeError):
    """The object changed since it was read (or a precondition failed): read it again, decide again."""

    retry = True


class Invalid(KubeError):
    """The server will never accept this request; the message names the field."""


def translate(
    status: int,
    body: bytes,
    what: str,
    *,
    named: bool,
    secret: bool = False,
    retry_after: str | None = None,
) -> KubeError:
    """Turn an answer that is no success into an error.

    `what` names method and object for the message; `named` says that the path named one object, `secret`
    keeps the server's words out of it. A 404 that is
    not the API machinery's own Status (a CRD that is not served) is never NotFound: nobody may conclude a
    deletion from it (rule E13).
    """
    answer = _status(body)
    reason = answer.get("reason", "")
    said = answer.get("message") if not secret else None
    text = f"{what}: {status} {said or reason or 'no message'}"[:_MESSAGE_SIZE]
    if status == 404 and named and answer.get("details", {}).get("name"):
        return NotFound(text, status=status)
    if status == 409:
        return (AlreadyExists if reason == "AlreadyExists" else Conflict)(text, status=status)
    if status == 410:
        return Expired(text, status=status)
    if status in (400, 406, 413, 415, 422):
        return Invalid(text, status=status)
    return Unavailable(text, status=status, retry_after=_seconds(retry_after))


def _status(body: bytes) -> dict[str, Any]:
    """Read a Kubernetes Status; anything else (a proxy's page) is not repeated."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _seconds(value: str | None) -> float | None:
    try:
        return min(max(float(value), 0.0), 60.0) if value else None
    except ValueError:
        return None

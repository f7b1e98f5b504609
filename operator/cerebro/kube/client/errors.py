"""The errors of calls to the API server: as few classes as callers treat
differently.

Answers become errors here and nowhere else. A message names the object and has
the server's own words, never a Secret's content.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

_MESSAGE_SIZE = 500
"""Characters of a message at most."""
_LONGEST_RETRY_AFTER = 60.0
"""Seconds; a server that asks for more is asked again earlier."""


class KubeError(Exception):
    """A call that did not succeed."""

    retry: ClassVar[bool] = False
    """Whether the same call can succeed later."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """`status` is the HTTP status, None if no answer came."""
        super().__init__(message)
        self.status = status


class Unavailable(KubeError):
    """Passing trouble: no connection, no answer in time, 401, 403, 404 of a
    whole collection, 405, 429, 5xx.

    Wait and try again.
    """

    retry = True

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        sent: bool = True,
    ) -> None:
        """`retry_after` is how many seconds the server asked us to wait, None
        if it did not. `sent` is False if no connection came about, so that no
        server can have done anything.
        """
        super().__init__(message, status=status)
        self.retry_after = retry_after
        self.sent = sent


class Expired(Unavailable):
    """A paged list took so long that the server forgot its beginning (410):
    begin anew.
    """


class NotFound(KubeError):
    """The object does not exist, though its kind is served."""


class AlreadyExists(KubeError):
    """An object of that name exists."""


class Conflict(KubeError):
    """The object changed since it was read, or a precondition failed: read it
    again and decide again.
    """

    retry = True


class Invalid(KubeError):
    """The server will never accept this request; the message names the field."""


def translate(
    status: int,
    body: bytes,
    call: str,
    *,
    named: bool,
    secret: bool = False,
    retry_after: str | None = None,
) -> KubeError:
    """Return the error for an answer that is no success.

    `call` names method and object for the message. `named`: the path named one
    object. `secret` keeps the server's words out of the message. A 404 that is
    not the API machinery's own Status (a CRD that is not served) is never
    NotFound: nobody may conclude a deletion from it (rule E13).
    """

    answer = _status(body)
    reason = answer.get("reason", "")
    message = None if secret else answer.get("message")
    text = f"{call}: {status} {message or reason or 'no message'}"[
        :_MESSAGE_SIZE
    ]

    about_one_object = named and answer.get("details", {}).get("name")
    if status == 404 and about_one_object:
        return NotFound(text, status=status)

    if status == 409 and reason == "AlreadyExists":
        return AlreadyExists(text, status=status)

    if status == 409:
        return Conflict(text, status=status)

    if status == 410:
        return Expired(text, status=status)

    if status in (400, 406, 413, 415, 422):
        return Invalid(text, status=status)

    return Unavailable(text, status=status, retry_after=_seconds(retry_after))


def _status(body: bytes) -> dict[str, Any]:
    """Return the Kubernetes Status of an answer; anything else, such as a
    proxy's page, is not repeated: {}.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        return {}

    is_status = isinstance(answer, dict) and answer.get("kind") == "Status"

    return answer if is_status else {}


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header, at most 60; None if it has
    none or a date.
    """
    if not retry_after:
        return None

    try:
        seconds = float(retry_after)
    except ValueError:
        return None

    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)

"""The one error that callers of the HTTP interface see. Raised anywhere in the
bridge, rendered in one place.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is no success: HTTP status, a code for programs, a text
    for people.

    `extra` goes into the body beside them. The text names the field or the
    reason; it has no secret and no device token. `retry_after` are the seconds
    after which the same call may succeed, where that is known.
    """

    def __init__(
        self,
        status: int,
        code: str,
        text: str,
        /,
        *,
        retry_after: float | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """Return the JSON body. The text is in it twice: some clients read
        `error`, others `message`.
        """
        return {
            "ok": False,
            "code": self.code,
            "error": self.text,
            "message": self.text,
            **self.extra,
        }

    def retold(self, status: int, /, **extra: Any) -> ApiError:
        """Return the same error with another status and further fields."""
        return ApiError(
            status,
            self.code,
            self.text,
            retry_after=self.retry_after,
            **{**self.extra, **extra},
        )


def invalid(text: str) -> ApiError:
    """Return the error for a request whose fields cannot be used; the text
    names the field.
    """
    return ApiError(400, "invalid_payload", text)


def starting() -> ApiError:
    """Return the error for a time when not every Device is known, so none can
    be called unknown (A8).
    """
    return ApiError(
        503,
        "starting",
        "the bridge is starting: it does not know all Devices yet; try again",
    )


def unknown_device(mik_id: str) -> ApiError:
    """Return the error for a router that no Device has as its routerID or name
    (A8).
    """
    return ApiError(
        404,
        "MIKROTIK_NODE_NOT_FOUND",
        f"no Device has the routerID {mik_id!r}, nor that name without one: create it, or correct mikId",
    )

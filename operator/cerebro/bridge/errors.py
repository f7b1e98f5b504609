"""The one error that callers of the HTTP interface see. Raised anywhere in the
bridge, rendered in one place.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer that is no success: HTTP status, a code for programs, a text
    for people.

    `extra` goes into the body beside them. The text names the field or the
    reason; it has no secret and no device token.
    """

    def __init__(
        self, status: int, code: str, text: str, /, **extra: Any
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.text = text
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

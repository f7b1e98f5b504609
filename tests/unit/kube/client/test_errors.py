"""Which answer becomes which error, and what the message says."""

import json

import pytest

from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    Invalid,
    KubeError,
    NotFound,
    Unavailable,
    translate,
)


def status(reason: str, message: str, **details: str) -> bytes:
    return json.dumps(
        {
            "kind": "Status",
            "reason": reason,
            "message": message,
            "details": details,
        }
    ).encode()


@pytest.mark.parametrize(
    ("code", "body", "named", "kind"),
    [
        (
            404,
            status("NotFound", 'sessions "a" not found', name="a"),
            True,
            NotFound,
        ),
        (404, b"404 page not found\n", True, Unavailable),
        (
            404,
            status(
                "NotFound", "the server could not find the requested resource"
            ),
            True,
            Unavailable,
        ),
        (404, b"404 page not found\n", False, Unavailable),
        (
            404,
            status("NotFound", 'namespaces "ns" not found', name="ns"),
            False,
            Unavailable,
        ),
        (
            409,
            status("AlreadyExists", "exists", name="a"),
            False,
            AlreadyExists,
        ),
        (409, status("Conflict", "modified", name="a"), True, Conflict),
        (410, status("Expired", "too old"), False, Expired),
        (400, status("BadRequest", "bad"), True, Invalid),
        (
            422,
            status("Invalid", "spec.client: Required value", name="a"),
            True,
            Invalid,
        ),
        (401, status("Unauthorized", "Unauthorized"), True, Unavailable),
        (403, status("Forbidden", "no"), True, Unavailable),
        (
            405,
            status("MethodNotAllowed", "create not allowed while terminating"),
            False,
            Unavailable,
        ),
        (429, status("TooManyRequests", "slow"), True, Unavailable),
        (500, b"<html>", True, Unavailable),
        (503, b"", True, Unavailable),
    ],
)
def test_e10_e13_answers_become_errors(
    code: int, body: bytes, named: bool, kind: type[KubeError]
) -> None:
    error = translate(code, body, "get Session ns/a", named=named)
    assert type(error) is kind
    assert error.status == code
    assert error.retry is (kind in (Unavailable, Expired, Conflict))


def test_a_message_names_the_object_and_what_the_server_said() -> None:
    error = translate(
        422,
        status("Invalid", "spec.client: Required value"),
        "create Session ns/a",
        named=False,
    )
    assert str(error) == "create Session ns/a: 422 spec.client: Required value"


def test_a_page_of_somebody_in_between_is_not_repeated() -> None:
    assert "proxy" not in str(
        translate(
            502, b"<html>proxy of ACME</html>", "get Session ns/a", named=True
        )
    )


def test_retry_after_is_taken_within_bounds() -> None:
    def waits(value: str | None) -> float | None:
        error = translate(429, b"", "list", named=False, retry_after=value)
        assert isinstance(error, Unavailable)
        return error.retry_after

    assert [waits("3"), waits("9999"), waits("soon"), waits(None)] == [
        3.0,
        60.0,
        None,
        None,
    ]

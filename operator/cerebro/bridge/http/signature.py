"""Signatures of requests: HMAC-SHA256 in the forms that clients of every age
send. Pure: no clock, no store.

Forms A and B bind method, request target, time, nonce and body, over the bytes
as they were received. Forms C and D bind less, and are accepted only if a
setting says so. Whether a nonce was used before, the caller checks after the
signature was verified: a wrongly signed request must not use up a nonce. The
forms are described in docs/http.md.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from cerebro.bridge.errors import ApiError

Form = Literal["A", "B", "C", "D"]

NONCE_MIN = 8
NONCE_MAX = 128

_DIGITS = re.compile(r"[0-9]{1,16}")
_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Policy:
    """How strict to be."""

    secret: str | None
    """The key of the HMAC; without one every signed request is refused."""

    window_a_ms: int = 120_000
    """How far a time in form A may be from our clock, in milliseconds on both
    sides.
    """

    window_b_ms: int = 120_000
    """The same for forms B and C."""

    legacy: bool = False
    """Whether forms C and D are accepted."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What is signed, and the signature."""

    method: str

    target: bytes
    """Path and query as they stood on the request line."""

    body: bytes
    """The bytes as they were received."""

    ts: str | None
    """The header x-relay-ts, None if absent; so are the next two."""

    nonce: str | None

    signature: str | None


@dataclass(frozen=True, slots=True)
class Verified:
    """A good signature."""

    form: Form

    ts_ms: int | None
    """The signed time in milliseconds since 1970; None in form D."""

    nonce: str | None
    """The nonce, which the caller has to use up; None in form D."""


def signed_request(
    method: str, target: bytes, body: bytes, headers: Mapping[str, str]
) -> SignedRequest:
    """Return a request with the three headers of its signature; `headers` have
    lower-case names.
    """
    return SignedRequest(
        method,
        target,
        body,
        headers.get("x-relay-ts"),
        headers.get("x-relay-nonce"),
        headers.get("x-relay-signature"),
    )


def verify(request: SignedRequest, policy: Policy, now_ms: int) -> Verified:
    """Verify a signature against our clock (`now_ms`: milliseconds since
    1970).

    Raises ApiError 401 with a code `HMAC_…`. It does not check that the nonce
    is new.
    """

    if not policy.secret:
        raise _refused(
            "HMAC_SECRET_NOT_CONFIGURED",
            "RELAY_API_SECRET is not set: signed requests are refused",
        )

    if not request.signature:
        raise _refused(
            "HMAC_SIGNATURE_MISSING", "the header x-relay-signature is missing"
        )

    given = request.signature.strip().removeprefix("v1=")
    key = policy.secret.encode()

    # Form D: the body alone.
    if policy.legacy and request.ts is None and request.nonce is None:
        if _matches(given, key, request.body):
            return Verified("D", None, None)

        raise _invalid_signature()

    # Time and nonce, in the widest window of any form.
    ts_ms = _time(request.ts)
    nonce = request.nonce or ""
    if not NONCE_MIN <= len(nonce) <= NONCE_MAX:
        raise _refused(
            "HMAC_NONCE_INVALID",
            f"x-relay-nonce must have {NONCE_MIN} to {NONCE_MAX} characters",
        )

    late_by = abs(now_ms - ts_ms)
    if late_by > max(policy.window_a_ms, policy.window_b_ms):
        raise _out_of_range(late_by)

    # Forms A, B and C, each with its own window.
    for form, message in _messages(
        request, ts_ms, nonce, legacy=policy.legacy
    ):
        if not _matches(given, key, message):
            continue

        window = policy.window_a_ms if form == "A" else policy.window_b_ms
        if late_by > window:
            raise _out_of_range(late_by)

        return Verified(form, ts_ms, nonce)

    raise _invalid_signature()


def sign(form: Form, secret: str, request: SignedRequest) -> str:
    """Return the signature of a request in one of the forms, as its clients
    make it: hexadecimal digits.
    """
    if form == "D":
        message = request.body
    else:
        ts_ms = _time(request.ts)
        messages = dict(
            _messages(request, ts_ms, request.nonce or "", legacy=True)
        )

        message = messages[form]

    return _digest(secret.encode(), message)


def _messages(
    request: SignedRequest, ts_ms: int, nonce: str, *, legacy: bool
) -> Iterator[tuple[Form, bytes]]:
    """Yield what each form signs.

    The first server of form A printed the time anew as a number, so form A is
    tried with both spellings.
    """

    method = request.method.upper().encode()
    stamp = (request.ts or "").encode()
    nonce_bytes = nonce.encode("latin-1")
    digest = hashlib.sha256(request.body).hexdigest().encode()
    number = str(ts_ms).encode()

    if number != stamp:
        yield (
            "A",
            b"\n".join((method, request.target, number, nonce_bytes, digest)),
        )

    yield "A", b"\n".join((method, request.target, stamp, nonce_bytes, digest))
    yield (
        "B",
        b"\n".join((method, request.target, stamp, nonce_bytes, request.body)),
    )

    if legacy:
        yield "C", b"\n".join((stamp, nonce_bytes, request.body))


def _time(text: str | None) -> int:
    """Read the timestamp in milliseconds. An empty one counts as 0, which is
    out of any window.

    Raises ApiError 401 `HMAC_TS_INVALID`.
    """

    if text is None:
        raise _refused(
            "HMAC_TS_INVALID",
            "the header x-relay-ts is missing: milliseconds since 1970",
        )

    digits = text.strip()
    if not digits:
        return 0

    if not _DIGITS.fullmatch(digits):
        raise _refused(
            "HMAC_TS_INVALID",
            "x-relay-ts must be a number of milliseconds since 1970",
        )

    return int(digits)


def _matches(given: str, key: bytes, message: bytes) -> bool:
    """Return whether `given` is the signature of a message, compared in
    constant time.

    A text that is no SHA-256 in hexadecimal is no signature.
    """
    expected = _digest(key, message)
    return bool(_SHA256_HEX.fullmatch(given)) and hmac.compare_digest(
        given.lower(), expected
    )


def _digest(key: bytes, message: bytes) -> str:
    """Return an HMAC-SHA256 in hexadecimal digits."""
    return hmac.digest(key, message, "sha256").hex()


def _invalid_signature() -> ApiError:
    return _refused(
        "HMAC_SIGNATURE_INVALID", "the signature does not match the request"
    )


def _out_of_range(late_by_ms: int) -> ApiError:
    return _refused(
        "HMAC_TS_OUT_OF_RANGE",
        f"x-relay-ts is {late_by_ms // 1000} s away from the clock here: set the caller's clock right",
    )


def _refused(code: str, text: str) -> ApiError:
    return ApiError(401, code, text)

"""Signatures of requests: HMAC-SHA256 in the forms that clients of every age send. Pure: no clock, no store.

Forms A and B bind method, request target, time, nonce and body, over the bytes as they were received; C and D
bind less and are taken only where a setting says so. Whether a nonce was used before is the store's to say,
after the signature was found good: a wrongly signed request must not burn a nonce.
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
_HEX = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Policy:
    """How strict to be. Windows are milliseconds on both sides of our clock."""

    secret: str | None
    window_a_ms: int = 120_000
    window_b_ms: int = 120_000
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What is signed: `target` is path and query as they stood on the request line, `body` the bytes
    received."""

    method: str
    target: bytes
    body: bytes
    ts: str | None
    nonce: str | None
    signature: str | None


@dataclass(frozen=True, slots=True)
class Verified:
    """A good signature: its form, and time (ms since 1970) and nonce, which form D does not have."""

    form: Form
    ts_ms: int | None
    nonce: str | None


def signed_request(method: str, target: bytes, body: bytes, headers: Mapping[str, str]) -> SignedRequest:
    """Pick the three headers out of `headers` (lower-case names)."""
    return SignedRequest(
        method,
        target,
        body,
        headers.get("x-relay-ts"),
        headers.get("x-relay-nonce"),
        headers.get("x-relay-signature"),
    )


def verify(request: SignedRequest, policy: Policy, now_ms: int) -> Verified:
    """Check a signature against our clock.

    Raises ApiError 401 with the codes of contract 2.2; the nonce's novelty is checked by the caller.
    """
    if not policy.secret:
        raise _refused(
            "HMAC_SECRET_NOT_CONFIGURED", "RELAY_API_SECRET is not set: signed requests are refused"
        )
    if not request.signature:
        raise _refused("HMAC_SIGNATURE_MISSING", "the header x-relay-signature is missing")
    given = request.signature.strip().removeprefix("v1=")
    key = policy.secret.encode()
    if policy.legacy and request.ts is None and request.nonce is None:
        if _same(given, hmac.new(key, request.body, hashlib.sha256).hexdigest()):
            return Verified("D", None, None)
        raise _refused("HMAC_SIGNATURE_INVALID", "the signature does not match the request")
    ts_ms = _time(request.ts)
    nonce = request.nonce or ""
    if not NONCE_MIN <= len(nonce) <= NONCE_MAX:
        raise _refused("HMAC_NONCE_INVALID", f"x-relay-nonce must have {NONCE_MIN} to {NONCE_MAX} characters")
    late_by = abs(now_ms - ts_ms)
    if late_by > max(policy.window_a_ms, policy.window_b_ms):
        raise _out_of_range(late_by)
    for form, message in _messages(request, ts_ms, nonce, legacy=policy.legacy):
        if _same(given, hmac.new(key, message, hashlib.sha256).hexdigest()):
            if late_by > (policy.window_a_ms if form == "A" else policy.window_b_ms):
                raise _out_of_range(late_by)
            return Verified(form, ts_ms, nonce)
    raise _refused("HMAC_SIGNATURE_INVALID", "the signature does not match the request")


def sign(form: Form, secret: str, request: SignedRequest) -> str:
    """Sign a request in one of the forms, as its clients do; the hexadecimal digits."""
    if form == "D":
        message = request.body
    else:
        ts_ms = _time(request.ts)
        found = dict(_messages(request, ts_ms, request.nonce or "", legacy=True))
        message = found[form]
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def _messages(
    request: SignedRequest, ts_ms: int, nonce: str, *, legacy: bool
) -> Iterator[tuple[Form, bytes]]:
    """Give what each form signs. Form A's first server printed the time anew as a number, so that is tried
    too."""
    method, stamp, once = (
        request.method.upper().encode(),
        (request.ts or "").encode(),
        nonce.encode("latin-1"),
    )
    digest = hashlib.sha256(request.body).hexdigest().encode()
    number = str(ts_ms).encode()
    if number != stamp:
        yield "A", b"\n".join((method, request.target, number, once, digest))
    yield "A", b"\n".join((method, request.target, stamp, once, digest))
    yield "B", b"\n".join((method, request.target, stamp, once, request.body))
    if legacy:
        yield "C", b"\n".join((stamp, once, request.body))


def _time(text: str | None) -> int:
    """Read the timestamp; an empty one counts as 0, which is out of any window (contract 2.2)."""
    if text is None:
        raise _refused("HMAC_TS_INVALID", "the header x-relay-ts is missing: milliseconds since 1970")
    if not text.strip():
        return 0
    if not _DIGITS.fullmatch(text.strip()):
        raise _refused("HMAC_TS_INVALID", "x-relay-ts must be a number of milliseconds since 1970")
    return int(text)


def _same(given: str, expected: str) -> bool:
    """Compare in constant time; what is no SHA-256 in hexadecimal is no signature."""
    return bool(_HEX.fullmatch(given)) and hmac.compare_digest(given.lower(), expected)


def _out_of_range(late_by_ms: int) -> ApiError:
    return _refused(
        "HMAC_TS_OUT_OF_RANGE",
        f"x-relay-ts is {late_by_ms // 1000} s away from the clock here: set the caller's clock right",
    )


def _refused(code: str, text: str) -> ApiError:
    return ApiError(401, code, text)

"""Signatures between bridge and backend (contract 3.1, 3.3). Pure.

All are the hex HMAC-SHA256 of what they cover: the poll's time, the bytes of
the feed, the bytes of an ACK.
"""

from __future__ import annotations

import hashlib
import hmac

TIME = "x-relay-ts"
"""Milliseconds since 1970, as text."""

OURS = "x-relay-hmac"
"""What the bridge signs."""

THEIRS = "x-backend-hmac"
"""What the backend signs."""


def sign(secret: str, content: bytes) -> str:
    """Return the signature of some bytes, in lower-case hex.

    The key is the secret's UTF-8 text.
    """
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def poll_headers(secret: str | None, now: int) -> dict[str, str]:
    """Return the headers of a poll at `now` (milliseconds since 1970); without
    a secret the signature is empty.
    """
    stamp = str(now)
    signature = sign(secret, stamp.encode()) if secret else ""

    return {TIME: stamp, OURS: signature}


def ack_headers(secret: str | None, body: bytes, now: int) -> dict[str, str]:
    """Return the headers of an ACK that is sent at `now`.

    The signature covers the body alone, as the old relay's did; without a
    secret there is none.
    """
    headers = {"content-type": "application/json", TIME: str(now)}

    if secret:
        headers[OURS] = sign(secret, body)

    return headers


def is_genuine(secret: str, content: bytes, signature: str) -> bool:
    """Return whether the backend signed these bytes; hex in any case, compared
    in constant time.
    """
    wanted = sign(secret, content).encode()
    given = signature.strip().lower().encode("utf-8", "replace")

    return hmac.compare_digest(wanted, given)

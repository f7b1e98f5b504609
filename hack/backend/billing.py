"""What a billing backend sends to the relay: a POST with the token, signed
over method, target, time, nonce and body.

The form is the first of three that the old relay took. Shares no code with the
bridge that checks it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import httpx

TIMEOUT = 10.0


class Billing:
    """A backend that holds the relay's token and secret. Use it as a context
    manager.
    """

    def __init__(self, base_url: str, token: str, secret: str) -> None:
        self._token, self._secret = token, secret.encode()
        self._http = httpx.Client(base_url=base_url, timeout=TIMEOUT)

    def __enter__(self) -> Billing:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Send one signed call; a status of 4xx or 5xx is an answer like any
        other.
        """
        raw = json.dumps(body).encode()
        return self._http.post(
            path,
            content=raw,
            headers=signed_headers(
                "POST", path, raw, self._token, self._secret
            ),
        )


def signed_headers(
    method: str, target: str, body: bytes, token: str, secret: bytes
) -> dict[str, str]:
    """Return the headers of a signed call; the timestamp is in milliseconds."""
    stamp, nonce = str(int(time.time() * 1000)), uuid.uuid4().hex
    message = "\n".join(
        (method, target, stamp, nonce, hashlib.sha256(body).hexdigest())
    )
    return {
        "content-type": "application/json",
        "authorization": f"Bearer {token}",
        "x-relay-ts": stamp,
        "x-relay-nonce": nonce,
        "x-relay-signature": hmac.new(
            secret, message.encode(), hashlib.sha256
        ).hexdigest(),
    }

"""What schemathesis loads for `test_bridge_openapi`: it signs as clients do, and judges what the page cannot say.

Signed is what goes onto the wire, so the signature is made when the request is ready. Shares no code with the bridge.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from typing import Any

import requests
import schemathesis
from requests.auth import AuthBase

TOKEN = os.environ["FUZZING_TOKEN"]
SECRET = os.environ["FUZZING_SECRET"]
INTERNAL = os.environ["FUZZING_INTERNAL_TOKEN"]

BEYOND_ANY_SCHEMA = {
    "invalid_ip": "an IPv4 address that can be no phone's, such as a group's",
    "invalid_mac": "a MAC that can be no phone's, such as a group's",
    "unsupported_syntax": "a line that the router's API has no words for",
    "mikId_required": "which routers there are",
    "hub_required": "which Hubs there are",
    "router_not_resolved": "which routers there are",
    "missing_ip_or_mac": "where the phone was seen",
    "missing_sid": "that one of two parameters of a query must be there",
}
"""Codes of 400 for bodies that fit the page, by what no schema says of them."""
BEYOND_ITS_SCHEMA = (
    "expiresAt must be",
    "allowedIps",
    "sentences",
    "command",
    "tunnelIp",
    "mikrotik.",
    "wireguard.",
    "meta.",
    "endpoint must",
)
"""How the texts of `invalid_payload` begin that are about a field whose meaning no schema holds: an instant between
1970 and 9000, networks without bits behind their prefix, an address of the Hub, the words of a sentence.
"""
FOR_OPERATORS = ("/internal/", "/relay/identity/retry-now")
MAY_BE_500 = ("exec_outcome_unknown", "EXEC_ERROR")


class Signed(AuthBase):
    """Form A over the bytes as they are sent."""

    def __call__(
        self, request: requests.PreparedRequest
    ) -> requests.PreparedRequest:
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        assert isinstance(body, bytes)
        stamp = str(round(time.time() * 1000))
        nonce = secrets.token_hex(16)
        message = "\n".join(
            (
                request.method or "",
                request.path_url,
                stamp,
                nonce,
                hashlib.sha256(body).hexdigest(),
            )
        )
        signature = hmac.new(
            SECRET.encode(), message.encode(), hashlib.sha256
        ).hexdigest()
        request.headers.update(
            {
                "authorization": f"Bearer {TOKEN}",
                "x-relay-ts": stamp,
                "x-relay-nonce": nonce,
                "x-relay-signature": signature,
            }
        )
        if request.path_url.startswith(FOR_OPERATORS):
            request.headers["x-relay-internal-token"] = INTERNAL
        return request


schemathesis.auth.set_from_requests(Signed())  # type: ignore[attr-defined]


def _body(response: schemathesis.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


@schemathesis.check
def no_undocumented_fault(
    _: schemathesis.CheckContext,
    response: schemathesis.Response,
    case: schemathesis.Case[Any],
) -> None:
    """A 500 is one of a command, a 501 is that of what is not served (F10); what is signed is never 401."""
    code = _body(response).get("code")
    if response.status_code == 500:
        assert code in MAY_BE_500, f"500 {code}"
    if response.status_code == 501:
        assert code == "not_implemented", f"501 {code}"
    assert response.status_code != 401, f"{code}"
    assert response.status_code != 429 or code == "retry_rate_limited"


@schemathesis.check
def errors_have_one_shape(
    _: schemathesis.CheckContext,
    response: schemathesis.Response,
    case: schemathesis.Case[Any],
) -> None:
    """Whatever was sent: an error says so in the one shape, and every answer has its x-request-id."""
    assert response.headers.get("x-request-id"), "no x-request-id"
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    if case.path == "/health/ready" and response.status_code == 503:
        return
    body = _body(response)
    assert body.get("ok") is False, body
    assert body.get("code"), body
    assert body.get("error") == body.get("message") != "", body


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Exception,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> bool:
    """Let through what a body that fits the page is refused for, where that lies beyond any schema."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    body = _body(response)
    text = str(body.get("error", ""))
    # What a payload must have, its action says.
    in_payload = case.path == "/relay/action" and "action" not in text
    return not (
        in_payload
        or body.get("code") in BEYOND_ANY_SCHEMA
        or text.startswith(BEYOND_ITS_SCHEMA)
    )

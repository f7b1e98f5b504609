"""What the OpenAPI page says of each endpoint: what it takes, who may call it, and how it refuses. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from cerebro.bridge.answers import Answer, ErrorAnswer
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.routes import Route

INTRODUCTION = """HTTP for billing backends and portals: orders come in, and access on the routers comes of them.

**Tokens.** `Authorization: Bearer …` or `x-relay-token: …`, whichever a client sends. The main
token opens every endpoint but the internal ones; tokens for tools, commands, health and metrics
open their own.

**Signatures.** All but health, status and metrics is signed: `x-relay-ts` in milliseconds since
1970, `x-relay-nonce` of at least eight characters, used once, and `x-relay-signature`, the HMAC-
SHA256 in hexadecimal over method, path with query, time, nonce and the SHA-256 of the body, joined
by line feeds.

**Answers.** 200 means that it is done: the entry is on the router, or off it. Each error has `ok:
false`, a `code` for programs and a text for people in `error` and `message`. 503 means that it was
kept and goes on being tried, or that nothing was taken; the code says which. Each answer repeats
`x-request-id`, which the logs and the Session name too."""

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "relayToken": {
        "type": "apiKey",
        "in": "header",
        "name": "x-relay-token",
    },
    "metricsToken": {
        "type": "apiKey",
        "in": "header",
        "name": "x-metrics-token",
    },
    "internalToken": {
        "type": "apiKey",
        "in": "header",
        "name": "x-relay-internal-token",
    },
}

_SIGNATURE_HEADERS = {
    "x-relay-ts": "Milliseconds since 1970.",
    "x-relay-nonce": "At least eight characters, new for each request.",
    "x-relay-signature": "HMAC-SHA256 in hexadecimal digits; `v1=` may stand before it.",
}
_PARAMETERS = re.compile(r"\{(\w+)(?::path)?\}")
"""The parameters in the path of a Route."""

_TAGS = (
    ("/health", "Health and metrics"),
    ("/metrics", "Health and metrics"),
    ("/relay/metrics", "Health and metrics"),
    ("/relay/health", "Health and metrics"),
    ("/relay/status", "Health and metrics"),
    ("/relay/wireguard", "Health and metrics"),
    ("/relay/identity/", "Identities"),
    ("/relay/identity", "Health and metrics"),
    ("/session/", "Sessions under a caller's name"),
    ("/internal/", "Internal"),
    ("/devices", "Routers"),
    ("/mikrotik", "Routers"),
    ("/relay/device", "Phones"),
    ("/relay/authorize", "Orders"),
    ("/relay/resync", "Orders"),
    ("/relay/revoke", "Orders"),
    ("/relay/action", "Orders"),
    ("/relay/hotspot", "Orders"),
    ("", "Commands on routers"),
)
"""The heading of an endpoint, by the beginning of its path; the first counts."""

_ANY_REFUSAL = {
    400: "A field is missing or cannot be used; the text names it.",
    404: "No such path, router or session.",
    405: "The path has another method.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    500: "A fault of the bridge; its log has the request's id.",
}
_WITH_TOKEN = {
    401: "The token or the signature is missing or wrong.",
    429: "Too many calls; `Retry-After` says how long to wait.",
}
_WITH_SIGNATURE = {
    403: "This caller may not do that.",
    409: "It cannot be done as things are; the code says why.",
    502: "The router, or the hub, refused it.",
    503: "The router, the API server or the store did not answer; the code says what was kept.",
}


def tag_of(path: str) -> str:
    """Return the heading under which an endpoint stands."""
    return next(tag for prefix, tag in _TAGS if path.startswith(prefix))


def refusals_of(route: Route) -> dict[int | str, dict[str, Any]]:
    """Return the model and the description of each status but 200."""
    texts: dict[int, str] = dict(_ANY_REFUSAL)
    if route.access is not Access.OPEN:
        texts |= _WITH_TOKEN

    if route.access.needs_signature or route.access is Access.INTERNAL:
        texts |= _WITH_SIGNATURE

    models: Mapping[int, type[Answer]] = dict.fromkeys(
        texts, ErrorAnswer
    ) | dict(route.answers_by_status)

    return {
        status: {
            "model": model,
            "description": texts.get(status, "See the model."),
        }
        for status, model in sorted(models.items())
    }


def described(route: Route) -> dict[str, Any]:
    """Return what FastAPI cannot see: the body that an endpoint takes, its parameters, and what the gate checks."""
    page: dict[str, Any] = {}
    if route.example is not None:
        schema = {"type": "object", "example": dict(route.example)}
        page["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }

    parameters = [
        _parameter("path", name, "")
        for name in _PARAMETERS.findall(route.path)
    ]
    parameters += [
        _parameter("query", name, description)
        for name, description in route.query.items()
    ]
    if route.access.needs_signature:
        parameters += [
            _parameter("header", name, description)
            for name, description in _SIGNATURE_HEADERS.items()
        ]

    if parameters:
        page["parameters"] = parameters

    schemes = _schemes_of(route.access)
    if schemes:
        page["security"] = [{scheme: []} for scheme in schemes]

    return page


def _schemes_of(access: Access) -> list[str]:
    """Return the ways to send a token, each of which is enough."""
    if access is Access.OPEN:
        return []

    if access is Access.INTERNAL:
        return ["internalToken"]

    schemes = ["bearer", "relayToken"]
    if access in (Access.METRICS, Access.LOCAL_METRICS):
        schemes.append("metricsToken")

    return schemes


def _parameter(
    place: Literal["path", "query", "header"], name: str, description: str
) -> dict[str, Any]:
    """Return a parameter; what the query has may be absent."""
    parameter: dict[str, Any] = {
        "in": place,
        "name": name,
        "required": place != "query",
        "schema": {"type": "string"},
    }
    if description:
        parameter["description"] = description

    return parameter

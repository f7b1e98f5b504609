"""What the OpenAPI page says of each endpoint: what it takes, who may call it, and how it refuses. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from cerebro.bridge.answers import Answer, ErrorAnswer
from cerebro.bridge.endpoints.page_fields import FIELDS, body_schema, filled
from cerebro.bridge.http import refusals
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.refusals import Refusals
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
`x-request-id`, which the logs and the Session name too. A path that exists answers another method
with 405 and `Allow`.

**Bodies** are JSON objects in UTF-8, at most 65,536 bytes, whatever their `Content-Type` is. A name
that stands twice, a number that is too large and half of a surrogate pair are `INVALID_JSON`. Fields
that nobody reads are let be; older names of fields, and objects around them, are taken too: they
are in docs/http.md."""

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The main token, or the narrow one of an endpoint.",
    },
    "relayToken": {
        "type": "apiKey",
        "in": "header",
        "name": "x-relay-token",
        "description": "The same tokens, for clients that send no Bearer.",
    },
    "metricsToken": {
        "type": "apiKey",
        "in": "header",
        "name": "x-metrics-token",
        "description": "METRICS_TOKEN, for the metrics alone.",
    },
    "internalToken": {
        "type": "apiKey",
        "in": "header",
        "name": "x-relay-internal-token",
        "description": "RELAY_INTERNAL_TOKEN; an address in RELAY_INTERNAL_WHITELIST needs none.",
    },
    "signedAt": {
        "type": "apiKey",
        "in": "header",
        "name": "x-relay-ts",
        "description": "When it was signed, in milliseconds since 1970; 120 seconds from our clock at most.",
    },
    "nonce": {
        "type": "apiKey",
        "in": "header",
        "name": "x-relay-nonce",
        "description": "8 to 128 characters, new for each request.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "x-relay-signature",
        "description": "HMAC-SHA256 with RELAY_API_SECRET in hexadecimal digits; `v1=` may stand before it.",
    },
}

_SIGNATURE = ("signedAt", "nonce", "signature")
"""The schemes that every signed call needs besides its token."""
_PARAMETERS = re.compile(r"\{(\w+)(?::path)?\}")
"""The parameters in the path of a Route."""

_TAGS = (
    ("/health", "Health and metrics"),
    ("/livez", "Health and metrics"),
    ("/readyz", "Health and metrics"),
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

_TAG_TEXTS = {
    "Orders": "Access on the routers: given, moved and ended.",
    "Phones": "Where a phone was seen, and under which token.",
    "Identities": "What a portal asks for its customers.",
    "Sessions under a caller's name": "Access that a caller names itself.",
    "Commands on routers": "What a router is asked, and who is on it.",
    "Routers": "Routers and their tunnels.",
    "Internal": "For operators, by the internal token or by address.",
    "Health and metrics": "How the bridge is; nothing is changed.",
}

_ANY_REFUSAL = {
    400: "A field is missing or cannot be used; the text names it.",
    404: "No such path, router or session.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    500: "A fault of the bridge; its log has the request's id.",
}
_WITH_TOKEN = {
    401: "The token or the signature is missing or wrong.",
    429: "Too many calls; `Retry-After` says how long to wait.",
}
_WITH_SIGNATURE = {
    402: "By the backend's database the order is not paid.",
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
    models: Mapping[int, type[Answer]] = dict.fromkeys(
        _texts_of(route), ErrorAnswer
    ) | dict(route.answers_by_status)
    texts = _texts_of(route)

    return {
        status: {
            "model": model,
            "description": texts.get(status, "See the model."),
        }
        for status, model in sorted(models.items())
    }


def _texts_of(route: Route) -> dict[int, str]:
    """Return the description of each status with which a call is refused."""
    if route.refusals is not None:
        return {
            status: _meanings(codes)
            for status, codes in _codes_of(route).items()
        }

    texts = dict(_ANY_REFUSAL)
    if route.access is not Access.OPEN:
        texts |= _WITH_TOKEN

    if route.access.needs_signature or route.access is Access.INTERNAL:
        texts |= _WITH_SIGNATURE

    return texts


def _codes_of(route: Route) -> Refusals:
    """Return all codes that a call may be refused with, by status."""
    parts = [refusals.EVERY_CALL, route.refusals or {}]
    if route.example is not None:
        parts.append(refusals.WITH_BODY)

    if route.query or _PARAMETERS.search(route.path):
        parts.append(refusals.WITH_PARAMETERS)

    if _PARAMETERS.search(route.path):
        parts.append(refusals.WITH_PATH)

    if route.access is Access.INTERNAL:
        parts.append(refusals.WITH_INTERNAL_TOKEN)
    elif route.access is not Access.OPEN:
        parts.append(refusals.WITH_TOKEN)

    if route.access.needs_signature:
        parts.append(refusals.WITH_SIGNATURE)

    return refusals.merge(*parts)


def _meanings(codes: Iterable[str]) -> str:
    """Return a list in Markdown: each code, and what it says."""
    return "\n".join(
        f"* `{code}`: {refusals.MEANINGS[code]}" for code in sorted(codes)
    )


def complete(page: dict[str, Any], routes: Iterable[Route]) -> None:
    """Add to a page what FastAPI cannot see: who may call, the headings, and
    which codes each error of each endpoint may have.
    """
    page["components"]["securitySchemes"] = SECURITY_SCHEMES
    page["tags"] = [
        {"name": name, "description": text}
        for name, text in _TAG_TEXTS.items()
    ]

    for route in routes:
        if route.refusals is not None:
            path = _PARAMETERS.sub(r"{\1}", route.path)
            _name_codes(page["paths"][path][route.method.lower()], route)


def _name_codes(operation: dict[str, Any], route: Route) -> None:
    for status, codes in _codes_of(route).items():
        if route.answers_by_status.get(status, ErrorAnswer) is ErrorAnswer:
            response = operation["responses"][str(status)]
            response["content"] = _error_content(codes)


def _error_content(codes: Iterable[str]) -> dict[str, Any]:
    names = sorted(codes)
    meaning = refusals.MEANINGS[names[0]]
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/ErrorAnswer"},
            {"properties": {"code": {"enum": names}}},
        ]
    }
    example = {
        "ok": False,
        "code": names[0],
        "error": meaning,
        "message": meaning,
    }

    return {"application/json": {"schema": schema, "example": example}}


def described(route: Route) -> dict[str, Any]:
    """Return what FastAPI cannot see: the body that an endpoint takes, its parameters, and what the gate checks."""
    page: dict[str, Any] = {}
    if route.example is not None:
        page["requestBody"] = _body(route, route.example)

    parameters = [
        _parameter("path", name, "")
        for name in _PARAMETERS.findall(route.path)
    ]
    parameters += [
        _parameter("query", name, description)
        for name, description in route.query.items()
    ]

    if parameters:
        page["parameters"] = parameters

    schemes = _schemes_of(route.access)
    if schemes:
        signature = _SIGNATURE if route.access.needs_signature else ()
        page["security"] = [
            {name: [] for name in (scheme, *signature)} for scheme in schemes
        ]

    return page


def _body(route: Route, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that an endpoint takes. A field that nobody described
    may be anything.
    """
    names = (*example, *route.fields)
    fields = {
        name: dict(route.schemas.get(name, FIELDS.get(name, {})))
        for name in names
    }
    content = {
        "schema": body_schema(fields, route.required),
        "example": dict(example),
    }

    return {
        "required": bool(route.required),
        "content": {"application/json": content},
    }


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
    place: Literal["path", "query"], name: str, description: str
) -> dict[str, Any]:
    """Return a parameter; what the query has may be absent."""
    known = FIELDS.get(name, {})
    schema: dict[str, Any] = {"type": "string"}
    bounds = ("pattern", "maxLength")
    is_needed = place == "path"
    source = filled(known) if is_needed else known
    texts = [
        choice
        for choice in source.get("anyOf", [source])
        if "string" in choice.get("type", ())
    ]
    if texts:
        schema |= {key: texts[0][key] for key in bounds if key in texts[0]}

    text = description or known.get("description", "")

    parameter: dict[str, Any] = {
        "in": place,
        "name": name,
        "required": is_needed,
        "schema": schema,
    }
    if text:
        parameter["description"] = text

    return parameter

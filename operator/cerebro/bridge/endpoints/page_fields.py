"""What the OpenAPI page says of the fields of requests: type, bounds, meaning.
Pure.

What a client of any age may send is wider: fields under older names, objects
around them, and fields that nobody reads are taken too (docs/http.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cerebro.bridge.requests.fields import MAX_MINUTES, MAX_TEXT, MAX_TOKEN
from cerebro.bridge.requests.hotspot import MAX_USER_TEXT, USER_TEXT
from cerebro.bridge.requests.orders import MAX_ID
from cerebro.resources.naming import SESSION_PLACE
from cerebro.resources.values import HOST_PATTERN, KEY_PATTERN

Schema = dict[str, Any]
"""A JSON schema."""

_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"
_NOT_BLANK = (
    r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
)
_KEY_OR_BLANK = f"^(|{KEY_PATTERN.removeprefix('^').removesuffix('$')})$"
_YEAR_9000 = 221_845_392_000_000
MAX_SESSION_ID = MAX_ID - len(SESSION_PLACE)
"""Characters of a caller's own name of a session."""


def text(description: str, limit: int = MAX_TEXT) -> Schema:
    """Return the schema of a text; blank or null is as if it were absent."""
    return {
        "type": ["string", "null"],
        "maxLength": limit,
        "pattern": _PRINTABLE,
        "description": description,
    }


def _address(description: str) -> Schema:
    return {
        "anyOf": [
            {"type": "string", "format": "ipv4"},
            {"type": "string", "maxLength": 0},
            {"type": "null"},
        ],
        "description": description,
    }


def _mac(description: str) -> Schema:
    return {
        "type": ["string", "null"],
        "pattern": "^(|[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{12})$",
        "description": description,
    }


def _number(description: str, **bounds: float) -> Schema:
    """Return the schema of a number; a text of digits is one too."""
    first = "[0-9]" if "minimum" in bounds else "[1-9]"
    digits = f"^{first}[0-9]{{0,5}}([.][0-9]{{1,6}})?$"

    return {
        "anyOf": [
            {"type": "number", **bounds},
            {"type": "string", "pattern": digits},
            {"type": "null"},
        ],
        "description": description,
    }


_ORDER = "The order's name in the backend."
_ROUTER = "The router: `spec.routerID` of its Device, or the Device's name."
_PHONE_IP = "The phone's IPv4 address on the hotspot."
_PHONE_MAC = "The phone's MAC."

FIELDS: Mapping[str, Schema] = {
    "action": {
        "type": "string",
        "minLength": 1,
        "description": "AUTHORIZE_BY_PEDIDO, RESYNC_DEVICE or REVOKE_SESSION.",
    },
    "allowedIps": {
        "anyOf": [
            {"type": "array", "items": {"type": "string"}, "maxItems": 64},
            {"type": "string"},
            {"type": "null"},
        ],
        "description": "The networks behind the router, in a list or with commas; left out, those of the Device stay.",
    },
    "command": {
        "description": "A line as on the router's console, instead of `sentences`.",
    },
    "count": _number(
        "How many packets; 3 if it is absent, 10 at most.", minimum=0
    ),
    "deviceId": text("The router's identifier; its Device gets it.", 128),
    "devicePublicKey": {
        "type": ["string", "null"],
        "pattern": _KEY_OR_BLANK,
        "description": "The WireGuard key that the router printed.",
    },
    "deviceToken": text(
        "What the portal knows the phone by; a hello brings its addresses.",
        MAX_TOKEN,
    ),
    "endpoint": text("Where the Hub dials the router: host:port."),
    "expiresAt": {
        "anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "integer", "minimum": 0, "maximum": _YEAR_9000},
            {"type": "string", "maxLength": 0},
            {"type": "null"},
        ],
        "description": "The end, with its zone or in ms since 1970, before the year 9000. No length counts then.",
    },
    "host": text("The address of a Device's API, or its tunnel address."),
    "id": {
        "type": ["string", "null"],
        "pattern": r"^(|(host:)?\*[0-9A-Fa-f]{1,8})$",
        "description": "The `id` of a client in the answer of `/hotspot/active`.",
    },
    "identity": text(_ROUTER),
    "ip": _address(_PHONE_IP),
    "ipAtual": _address(_PHONE_IP),
    "keepalive": {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 65_535},
            {"type": "string", "pattern": "^([0-9]{1,4})?$"},
            {"type": "null"},
        ],
        "description": "Seconds between the tunnel's keepalives.",
    },
    "mac": _mac(_PHONE_MAC),
    "macAtual": _mac(_PHONE_MAC),
    "meta": {
        "type": ["object", "null"],
        "description": "An object of the caller's; of it `mikrotik.publicIp` is recorded.",
    },
    "mikId": text(_ROUTER),
    "minutes": _number(
        "The length in minutes, if there is no `expiresAt`.",
        exclusiveMinimum=0,
        maximum=MAX_MINUTES,
    ),
    "mikrotik": {
        "type": "object",
        "description": "`publicIp` (recorded, never dialled), `apiUser`, `apiPassword`, `apiPort`.",
    },
    "mikrotikIp": {
        "type": ["string", "null"],
        "pattern": HOST_PATTERN,
        "description": "Where the router is in the internet: recorded, never dialled.",
    },
    "mikrotikPublicKey": {
        "type": "string",
        "pattern": KEY_PATTERN,
        "description": "The WireGuard key of the router.",
    },
    "password": {"type": "string", "description": "The password to try."},
    "payload": {
        "type": "object",
        "description": "What the endpoint of the action takes.",
    },
    "pedidoId": text(_ORDER, MAX_ID),
    "planoMinutos": _number(
        "The length in minutes, if there is no `expiresAt`.",
        exclusiveMinimum=0,
        maximum=MAX_MINUTES,
    ),
    "plano": {
        "description": "An object whose `minutos` are the length of the access.",
    },
    "presharedKey": {
        "type": ["string", "null"],
        "pattern": _KEY_OR_BLANK,
        "description": "The tunnel's preshared key.",
    },
    "publicKey": {
        "type": "string",
        "pattern": KEY_PATTERN,
        "description": "The WireGuard key of the router.",
    },
    "router": {
        **text(_ROUTER),
        "type": ["string", "object", "null"],
    },
    "routerHint": text(_ROUTER),
    "sentences": {
        "type": ["array", "string", "null"],
        "description": "What to run: lists of API words, or lines as on the router's console.",
    },
    "sessionId": text("The caller's name of the session.", MAX_SESSION_ID),
    "sid": text("The portal's name for the customer.", MAX_TOKEN),
    "target": {
        "type": ["string", "null"],
        "pattern": "^([A-Za-z0-9._:-]{1,253})?$",
        "description": "The address or host name to ping; left out, the router is asked who it is.",
    },
    "tempo": _number(
        "The length in milliseconds.",
        exclusiveMinimum=0,
        maximum=MAX_MINUTES * 60_000,
    ),
    "token": text("The same as `deviceToken`.", MAX_TOKEN),
    "tunnelIp": {
        "anyOf": [
            {"type": "string", "format": "ipv4"},
            {"type": "string", "format": "ipv6"},
            {"type": "string", "maxLength": 0},
            {"type": "null"},
        ],
        "description": "The router's address in the tunnel, without a prefix length.",
    },
    "user": text("The hotspot user."),
    "wireguard": {
        "type": "object",
        "description": "`peerPublicKey`, the router's key, and `allowedIps`.",
    },
    "username": text("The user to log in as.", 128),
}
"""The fields of requests, by name."""


def _user_text(description: str) -> Schema:
    """Return the schema of a text that a hotspot user is made of."""
    return {
        "type": ["string", "null"],
        "pattern": f"^({USER_TEXT})?$",
        "maxLength": MAX_USER_TEXT,
        "description": description,
    }


USER_FIELDS: Mapping[str, Schema] = {
    "username": _user_text("The name of the hotspot user."),
    "password": _user_text(
        "Its password; left out, the bridge makes one and answers with it."
    ),
    "profile": _user_text(
        "Its hotspot user profile; left out, the router's default."
    ),
}
"""The fields of requests about hotspot users, by name."""


def body_schema(
    fields: Mapping[str, Schema], required: tuple[str | tuple[str, ...], ...]
) -> Schema:
    """Return the schema of a body.

    `required` has names of fields that must be there, and tuples of names of
    which one must.
    """
    needed = [each for each in required if isinstance(each, str)]
    choices = [each for each in required if isinstance(each, tuple)]

    properties = {
        name: filled(schema) if name in needed else schema
        for name, schema in fields.items()
    }
    schema: Schema = {"type": "object", "properties": properties}
    if needed:
        schema["required"] = needed

    alternatives = [
        {"anyOf": [_with(name, fields[name]) for name in names]}
        for names in choices
    ]
    if len(alternatives) == 1:
        schema |= alternatives[0]
    elif alternatives:
        schema["allOf"] = alternatives

    return schema


def filled(schema: Schema) -> Schema:
    """Return the schema of a field that must be there: neither null nor
    blank.
    """
    types = schema.get("type")
    if isinstance(types, list) and "array" not in types:
        schema = {**schema, "type": "string", "minLength": 1}
        if schema.get("pattern") == _PRINTABLE:
            schema["pattern"] = _NOT_BLANK

    choices = [
        choice
        for choice in schema.get("anyOf", [])
        if choice.get("type") != "null" and choice.get("maxLength") != 0
    ]

    return {**schema, "anyOf": choices} if choices else schema


def _with(name: str, schema: Schema) -> Schema:
    """Return the schema of an object that has a field."""
    described = filled(schema)
    bare = {
        key: value for key, value in described.items() if key != "description"
    }

    return {"required": [name], "properties": {name: bare}}

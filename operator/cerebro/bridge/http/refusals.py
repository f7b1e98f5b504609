"""With which status and code each kind of call is refused, and what the codes
mean: for the OpenAPI page. Pure.

A page that lists a code too few misleads whoever writes a client by it, so the
test with schemathesis takes any code that is not listed for a fault.
"""

from __future__ import annotations

from collections.abc import Mapping

Refusals = Mapping[int, frozenset[str]]
"""Codes by status."""

MEANINGS: Mapping[str, str] = {
    "ACTION_NOT_ALLOWED": "There is no action of this name.",
    "EXEC_ERROR": "The router refused a sentence; `results` has its words.",
    "HMAC_NONCE_INVALID": "`x-relay-nonce` must have 8 to 128 characters.",
    "HMAC_REPLAY": "The nonce was used before: sign each request anew.",
    "HMAC_SECRET_NOT_CONFIGURED": "The bridge has no key to verify with.",
    "HMAC_SIGNATURE_INVALID": "The signature is not that of this request.",
    "HMAC_SIGNATURE_MISSING": "`x-relay-signature` is missing.",
    "HMAC_TS_INVALID": "`x-relay-ts` is no number of milliseconds.",
    "HMAC_TS_OUT_OF_RANGE": "The caller's clock is too far from ours.",
    "INVALID_JSON": "The body is no JSON object in UTF-8.",
    "MIKROTIK_AUTH_FAILED": "The router does not take the Device's login.",
    "MIKROTIK_NODE_NOT_FOUND": "No Device has this routerID: create it.",
    "MIKROTIK_TIMEOUT": "No answer in time to what only reads: call again.",
    "MIKROTIK_UNREACHABLE": "The router cannot be reached.",
    "UNAUTHORIZED": "The token is missing or wrong.",
    "asked_later": "The access was asked for after this revoke: it stays.",
    "auth_failed": "The router refused user or password.",
    "binding_not_found": "No Device has this key.",
    "blocked_by_hand": "An entry that a person made blocks the client.",
    "clock_skew": "The clocks of bridge and API server differ too much.",
    "command_denied": "`spec.commands` of the Device does not allow it.",
    "device_gone": "The Device was deleted.",
    "device_not_found": "No Device has this identifier.",
    "device_not_ours": "The Device was not made over HTTP: change it there.",
    "device_unknown": "Nobody knows where the phone of this token is.",
    "device_without_hub": "The Device has no Hub.",
    "exec_outcome_unknown": "It may have run: look before calling again.",
    "forbidden": "The caller has no internal token.",
    "forbidden_ops_only": "For operators: send the internal token.",
    "granted_by_hand": "An entry that a person made lets the client in.",
    "hub_required": "There is not exactly one Hub, and no setting names one.",
    "inbox_full": "Nothing was taken: too much waits already.",
    "internal_error": "A fault of the bridge: its log has the request's id.",
    "internal_token_not_configured": "No token could open this endpoint.",
    "invalid_ip": "No address that a phone can have.",
    "invalid_mac": "No MAC that a phone can have.",
    "invalid_object": "An object in Kubernetes cannot be read: correct it.",
    "invalid_payload": "A field is missing or cannot be used.",
    "key_taken": "Another router of the Hub has this key.",
    "kubernetes_unavailable": "The API server did not answer in time.",
    "mikId_required": "Nothing says which router is meant.",
    "missing_ip_or_mac": "Nobody knows where the customer's phone is.",
    "missing_sessionId": "Neither `sessionId` nor `pedidoId` was sent.",
    "missing_sid": "`sid` was not sent.",
    "name_collision": "Another object has the name of this one.",
    "never_granted": "The router was away for too long: ask anew.",
    "no_pending": "Nothing waits for this customer.",
    "no_pending_payment": "Nothing was paid, or that is over.",
    "not_found": "No such path.",
    "not_implemented": "This release does not do it.",
    "order_check_failed": "The order check's query is wrong: its operator mends it.",
    "order_check_unavailable": "The order check's database is away: the order waits.",
    "order_expired": "The time of the order is over.",
    "order_not_paid": "By the backend's database the order is not paid.",
    "order_unknown": "The backend's database does not know the order.",
    "paused": "A person paused the router.",
    "payload_too_large": "The body has more than 65,536 bytes.",
    "peer_not_ours": "The Peer was not made over HTTP: change it there.",
    "peer_offline": "The router is offline, and its Device takes no orders then.",
    "probe_error": "The router did not say what it is.",
    "rate_limited": "Too many calls: `Retry-After` says how long to wait.",
    "removal_pending": "Device or Peer are being deleted: ask again.",
    "request_timeout": "The body did not come in time.",
    "retry_rate_limited": "The order was tried anew a moment ago.",
    "revoked": "Somebody ended the access while the call waited.",
    "revoked_later": "The order was revoked after it was asked for.",
    "router_circuit_open": "The router failed often, and is left alone.",
    "router_not_resolved": "Nothing says which router is meant.",
    "router_timeout": "The router did not answer in time.",
    "router_unavailable": "The router failed often, and is left alone.",
    "session_deleted": "Somebody deleted the Session meanwhile.",
    "session_exists": "There is a session of this name.",
    "session_failed": "The router refuses this client.",
    "session_not_found": "There is no session of this name.",
    "starting": "The bridge does not know all objects yet.",
    "store_unavailable": "Nothing was taken: the store cannot be used.",
    "taken_over": "Another bridge carries the order out: ask again.",
    "timeout": "The router did not answer in time.",
    "too_late": "The API server was away for too long: ask anew.",
    "trial_used": "A trial is never opened twice.",
    "trial_limit": "The phone had as many trials on the router today as CEREBRO_TRIALS_PER_DAY allows.",
    "tunnel_address_pending": "The Device has no tunnel address yet.",
    "tunnel_ip_mismatch": "The Device has another tunnel address.",
    "tunnel_ip_taken": "Another Device has this tunnel address.",
    "unreachable": "The router cannot be reached.",
    "unsupported_syntax": "The router's API has no such words.",
    "user_made_by_hand": "A person made a user of this name on the router.",
    "user_not_ours": "A Session that was not made over HTTP has this user.",
    "vps_config_missing": "The Hub has no key or endpoint, or is missing.",
    "wg_peer_failed": "The Hub refuses the router's key or networks.",
    "wg_peer_pending": "The Hub's interface has not got the key yet.",
    "wrong_router": "Another router answers at the Device's address.",
}
"""What each code says, a sentence each."""


def merge(*refusals: Refusals) -> Refusals:
    """Return all codes of these, by status in ascending order."""
    statuses = sorted({status for each in refusals for status in each})

    return {
        status: frozenset[str]().union(
            *(each.get(status, frozenset()) for each in refusals)
        )
        for status in statuses
    }


def codes(**by_status: str) -> Refusals:
    """Return refusals: `codes(s409="revoked order_expired")`."""
    return {
        int(name.removeprefix("s")): frozenset(texts.split())
        for name, texts in by_status.items()
    }


# What the gate and the reading of a request refuse.
EVERY_CALL = codes(s500="internal_error")
WITH_BODY = codes(
    s400="INVALID_JSON invalid_payload",
    s408="request_timeout",
    s413="payload_too_large",
)
WITH_PARAMETERS = codes(s400="invalid_payload")
WITH_PATH = codes(s404="not_found")
WITH_TOKEN = codes(s401="UNAUTHORIZED", s429="rate_limited")
WITH_INTERNAL_TOKEN = codes(
    s403="forbidden internal_token_not_configured", s429="rate_limited"
)
WITH_SIGNATURE = codes(
    s401="HMAC_NONCE_INVALID HMAC_REPLAY HMAC_SECRET_NOT_CONFIGURED "
    "HMAC_SIGNATURE_INVALID HMAC_SIGNATURE_MISSING HMAC_TS_INVALID "
    "HMAC_TS_OUT_OF_RANGE",
    s503="store_unavailable",
)

# What the parts behind refuse.
CLIENT = codes(s400="invalid_ip invalid_mac")
KUBERNETES = codes(s503="kubernetes_unavailable")
ALL_KNOWN = codes(s503="starting")
ROUTER_OF_CALL = merge(
    ALL_KNOWN,
    codes(
        s400="mikId_required",
        s404="MIKROTIK_NODE_NOT_FOUND",
        s503="invalid_object",
    ),
)
_INBOX = codes(
    s503="store_unavailable inbox_full kubernetes_unavailable too_late "
    "taken_over",
)
_ROUTER_AWAITED = codes(
    s409="blocked_by_hand granted_by_hand session_deleted",
    s502="session_failed",
    s503="router_timeout router_unavailable MIKROTIK_UNREACHABLE "
    "MIKROTIK_AUTH_FAILED paused clock_skew wrong_router invalid_object "
    "device_gone never_granted",
)
_ORDER = merge(CLIENT, ROUTER_OF_CALL, _INBOX, _ROUTER_AWAITED)

GRANT_REFUSALS = merge(
    _ORDER,
    codes(
        s402="order_not_paid",
        s404="order_unknown",
        s409="device_unknown order_expired revoked revoked_later trial_used "
        "trial_limit "
        "name_collision peer_offline",
        s503="order_check_failed order_check_unavailable",
    ),
)
USER_REFUSALS = merge(
    ROUTER_OF_CALL,
    _INBOX,
    _ROUTER_AWAITED,
    codes(
        s409="name_collision order_expired peer_offline revoked revoked_later "
        "user_made_by_hand user_not_ours",
    ),
)
REVOKE_REFUSALS = merge(_ORDER, codes(s409="asked_later device_unknown"))
HELLO_REFUSALS = merge(CLIENT, ROUTER_OF_CALL, _INBOX)
COMMAND_REFUSALS = merge(
    ROUTER_OF_CALL,
    KUBERNETES,
    codes(
        s403="command_denied",
        s409="router_circuit_open",
        s502="EXEC_ERROR",
        s503="router_timeout MIKROTIK_UNREACHABLE MIKROTIK_AUTH_FAILED "
        "wrong_router",
        s504="MIKROTIK_TIMEOUT",
    ),
)
CHANGING_COMMAND_REFUSALS = merge(
    COMMAND_REFUSALS, codes(s500="EXEC_ERROR exec_outcome_unknown")
)

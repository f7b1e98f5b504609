"""The endpoints of the old relay with its own signature, form A, and the errors of each (contract 1.2).

Devices and WireGuard have tests of their own.
"""

from __future__ import annotations

from typing import Any

from integration.bridge.callers.lab_main import CUSTOMER, STATUS
from integration.bridge.callers.rows import (
    ANY,
    KEY,
    LEGACY,
    OPERATOR,
    TOKENS,
    Request,
    Row,
    get,
    post,
)

HELLO = {"deviceToken": "{token}", "mikId": "R1", "ip": "{ip}", "mac": "{mac}"}
ORDER = {"pedidoId": "{order}", "mikId": "R1", "deviceToken": "{token}"}
MOVED = {**ORDER, "ipAtual": "{ip}", "macAtual": "{mac}"}
NO_ROUTER = {"code": "MIKROTIK_NODE_NOT_FOUND", "error": ANY}
BAD = {"ok": False, "code": "invalid_payload", "error": ANY}
RESULT = {
    "ok": True,
    "mikId": "R1",
    "result.ok": True,
    "result.host": ANY,
    "result.commands": ANY,
    "result.dryRun": False,
    "result.errors": [],
}
GRANTED = {
    "ok": True,
    "pedidoId": "{order}",
    "mikId": "R1",
    "deviceToken": "{token}",
    "ip": "{ip}",
    "mac": "{mac}",
    "mikrotik.ok": True,
    "mikrotik.dryRun": False,
    "mikrotik.errors": [],
}
INTERNAL = {"x-relay-internal-token": TOKENS["RELAY_INTERNAL_TOKEN"]}
PROBE = {"publicKey": KEY, "username": "api", "password": "secret"}


def _form_a(
    sends: Request, status: int = 200, reads: Any = None, **more: Any
) -> Row:
    """Return a row of a client that signs as the old relay wanted it."""
    signed = Request(
        sends.method,
        sends.path,
        sends.body,
        form="A",
        token=sends.token,
        headers=sends.headers,
    )
    before = tuple(
        Request(one.method, one.path, one.body, form="A", headers=one.headers)
        for one in more.pop("before", ())
    )

    return Row("contract 1.2", signed, status, reads or {}, before, **more)


def _action(name: str, payload: dict[str, Any]) -> Request:
    return post(
        "/relay/action",
        {"action": name, "payload": payload, "traceId": "t-{order}"},
    )


READING = [
    _form_a(
        get("/relay/health", token="RELAY_TOKEN_HEALTH"),
        reads={
            "ok": True,
            "service": "relay",
            "ts": ANY,
            "uptimeMs": ANY,
            "build": {"version": None, "sha": None},
        },
    ),
    Row(
        "contract 1.2",
        get("/relay/health", form="-", token=""),
        401,
        {"code": "UNAUTHORIZED"},
    ),
    _form_a(
        get("/relay/identity"),
        reads={
            "ok": True,
            "service": "relay",
            "version": "unknown",
            "node": ANY,
            "uptime": ANY,
        },
    ),
    Row(
        "contract 1.2",
        get("/relay/identity", form="-"),
        401,
        {"code": "HMAC_SIGNATURE_MISSING"},
    ),
    Row("contract 1.2", get("/relay/metrics", form="-")),
    Row(
        "contract 1.2",
        get("/relay/metrics", form="-", token=""),
        401,
        {"code": "UNAUTHORIZED"},
    ),
]
TOOLS = [
    _form_a(
        post("/relay/arp-print", {"mikId": "R1"}, token="RELAY_TOKEN_TOOLS"),
        reads={**RESULT, "result.commands": ["/ip/arp/print"]},
    ),
    _form_a(post("/relay/arp-print", {"mikId": 7}), 400, BAD),
    _form_a(post("/relay/arp-print", {"mikId": "R9"}), 404, NO_ROUTER),
    _form_a(
        post(
            "/relay/ping",
            {"mikId": "R1", "target": "{ip}", "count": 2},
            token="RELAY_TOKEN_TOOLS",
        ),
        reads={**RESULT, "target": "{ip}", "sent": 2, "received": 2},
    ),
    _form_a(post("/relay/ping", {"mikId": "R1", "target": "a b"}), 400, BAD),
    _form_a(
        post(
            "/relay/exec-by-device",
            {"mikId": "R1", "sentences": ["", 7, "/ip/arp/print"]},
            token="RELAY_TOKEN_EXEC",
        ),
        reads={**RESULT, "result.commands": ["/ip/arp/print"]},
    ),
    _form_a(
        post("/relay/exec-by-device", {"mikId": "R1", "sentences": [""]}),
        400,
        BAD,
    ),
    _form_a(post("/relay/exec-by-device", {"mikId": "R1"}), 400, BAD),
    _form_a(
        post(
            "/relay/exec-by-device",
            {"mikId": "R1", "sentences": ["/ip/arp/print"]},
            token="RELAY_TOKEN_TOOLS",
        ),
        401,
        {"code": "UNAUTHORIZED"},
    ),
    _form_a(
        post("/relay/upload-redirect", {"mikId": "R1"}),
        501,
        {"code": "not_implemented", "message": ANY},
    ),
    Row(
        "contract 1.2",
        post(
            "/internal/mikrotik/probe",
            PROBE,
            form="-",
            token="",
            headers=INTERNAL,
        ),
        reads={"ok": True, "deviceId": "R1", "identity": ANY},
    ),
    *(
        Row(
            "contract 1.2",
            post(
                "/internal/mikrotik/probe",
                body,
                form="-",
                token=token,
                headers=headers,
            ),
            status,
            {"ok": False, "code": code},
        )
        for body, token, headers, status, code in (
            ({"publicKey": KEY}, "", INTERNAL, 400, "invalid_payload"),
            (
                {**PROBE, "publicKey": "Q" * 42 + "A="},
                "",
                INTERNAL,
                404,
                "binding_not_found",
            ),
            (PROBE, "RELAY_TOKEN", {}, 403, "forbidden"),
        )
    ),
]
ORDERS = [
    _form_a(
        post("/relay/device/hello", HELLO),
        reads={
            "ok": True,
            "deviceToken": "{token}",
            "mikId": "R1",
            "ipAtual": "{ip}",
            "macAtual": "{mac}",
        },
    ),
    _form_a(
        post("/relay/device/hello", {**HELLO, "deviceToken": None}),
        reads={"ok": True, "deviceToken": ANY},
    ),
    *(
        _form_a(
            post("/relay/device/hello", {**HELLO, name: value}),
            400,
            {"ok": False, "code": code, "error": ANY},
        )
        for name, value, code in (
            ("mikId", None, "invalid_payload"),
            ("ip", "10.6.0", "invalid_ip"),
            ("mac", "AA:BB", "invalid_mac"),
            ("mac", None, "invalid_payload"),
        )
    ),
    _form_a(
        post("/relay/device/hello", {**HELLO, "mikId": "R9"}), 404, NO_ROUTER
    ),
    _form_a(
        post("/relay/authorize-by-pedido", ORDER),
        reads=GRANTED,
        before=(post("/relay/device/hello", HELLO),),
    ),
    _form_a(
        post("/relay/authorize-by-pedido", {**ORDER, "pedidoId": None}),
        400,
        BAD,
    ),
    _form_a(
        post("/relay/authorize-by-pedido", {**MOVED, "mikId": "R9"}),
        404,
        NO_ROUTER,
    ),
    _form_a(post("/relay/resync-device", MOVED), reads=GRANTED),
    _form_a(post("/relay/resync-device", ORDER), 400, BAD),
    _form_a(
        post("/relay/revoke", {"mikId": "R1", "mac": "{mac}"}),
        reads={"ok": True, "mikId": "R1", "mac": "{mac}", "mikrotik.ok": True},
        before=(post("/relay/authorize-by-pedido", MOVED),),
    ),
    _form_a(
        post("/relay/revoke", {"mikId": "R1", "ip": "{ip}"}),
        reads={"ok": True, "ip": "{ip}", "mikrotik.ok": True},
    ),
    _form_a(post("/relay/revoke", {"mikId": "R1"}), 400, BAD),
    Row(
        "contract 2.4, form D",
        post("/relay/revoke", {"mikId": "R1", "mac": "{mac}"}, form="D"),
        reads={"ok": True, "mac": "{mac}"},
        setting=LEGACY,
    ),
]
ACTIONS = [
    _form_a(
        _action("AUTHORIZE_BY_PEDIDO", MOVED),
        reads={
            "ok": True,
            "action": "AUTHORIZE_BY_PEDIDO",
            "traceId": "t-{order}",
            "result.ok": True,
        },
    ),
    _form_a(_action("RESYNC_DEVICE", MOVED), reads={"result.mac": "{mac}"}),
    _form_a(
        _action("REVOKE_SESSION", {"mikId": "R1", "mac": "{mac}"}),
        reads={"ok": True, "result.mikId": "R1"},
    ),
    _form_a(
        _action("REBOOT", {}),
        403,
        {"status": 403, "error": "Action not allowed: REBOOT"},
    ),
    _form_a(
        _action("REVOKE_SESSION", {"mikId": "R1"}),
        400,
        {
            "action": "REVOKE_SESSION",
            "traceId": "t-{order}",
            "error": "ip or mac required for revoke",
        },
    ),
    _form_a(
        _action("AUTHORIZE_BY_PEDIDO", {**MOVED, "mikId": "R9"}),
        400,
        {"code": "MIKROTIK_NODE_NOT_FOUND"},
    ),
    _form_a(post("/relay/action", {}), 400, BAD),
    _form_a(
        post("/relay/action", {"action": "REVOKE_SESSION", "payload": None}),
        400,
        BAD,
    ),
]
IDENTITY = [
    _form_a(
        post("/relay/identity/refresh", CUSTOMER),
        reads={
            "ok": True,
            "authorized": True,
            "pedidoId": "{order}",
            "routerId": "R1",
            "actionKey": "R1:{order}:AUTHORIZE",
            "result": ANY,
        },
        before=(post("/relay/authorize-by-pedido", ORDER),),
    ),
    _form_a(post("/relay/identity/refresh", {}), 400, {"code": "missing_sid"}),
    _form_a(
        post("/relay/identity/refresh", CUSTOMER),
        404,
        {"code": "no_pending_payment"},
    ),
    _form_a(
        get(STATUS + "{token}", headers=OPERATOR),
        reads={
            "sid": "{token}",
            "public.state": "AUTHORIZED",
            "public.authorized": True,
            "public.pendingAuthorization": False,
            "public.retryInMs": 0,
            "public.messageCode": "authorized",
            "public.expiresAt": None,
            "public.routerId": "R1",
            "public.updatedAt": ANY,
            "ops.lastSeen.mac": "{mac}",
            "ops.applied.lastActionKey": "R1:{order}:AUTHORIZE",
            "ops.routerHealth.routerId": "R1",
        },
        before=(
            post("/relay/device/hello", HELLO),
            post("/relay/authorize-by-pedido", ORDER),
        ),
    ),
    _form_a(get("/relay/identity/status"), 400, {"code": "missing_sid"}),
    *(
        _form_a(
            post(
                "/relay/identity/retry-now",
                {"sid": sid} if sid else {},
                headers=headers,
            ),
            status,
            {"ok": False, "code": code},
            before=before,
        )
        for sid, headers, status, code, before in (
            ("{token}", {}, 403, "forbidden_ops_only", ()),
            ("", OPERATOR, 400, "missing_sid", ()),
            ("{token}", OPERATOR, 404, "no_pending", ()),
            (
                "{token}",
                OPERATOR,
                429,
                "retry_rate_limited",
                (
                    post("/relay/authorize-by-pedido", ORDER),
                    post(
                        "/relay/identity/retry-now",
                        {"sid": "{token}"},
                        headers=OPERATOR,
                    ),
                ),
            ),
        )
    ),
]
ROWS = [*READING, *TOOLS, *ORDERS, *ACTIONS, *IDENTITY]
ENDPOINTS = frozenset(
    (
        "GET /relay/health",
        "GET /relay/identity",
        "GET /relay/metrics",
        "POST /relay/arp-print",
        "POST /relay/ping",
        "POST /relay/exec-by-device",
        "POST /relay/upload-redirect",
        "POST /relay/device/hello",
        "POST /relay/authorize-by-pedido",
        "POST /relay/resync-device",
        "POST /relay/revoke",
        "POST /relay/action",
        "POST /relay/identity/refresh",
        "GET /relay/identity/status",
        "POST /relay/identity/retry-now",
        "POST /internal/mikrotik/probe",
    )
)
"""The endpoints of the table, but for devices and WireGuard."""

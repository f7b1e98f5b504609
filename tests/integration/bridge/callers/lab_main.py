"""The newest dashboard: form B with a Bearer token and an id for each request (contract 10.1)."""

from __future__ import annotations

from integration.bridge.callers.rows import (
    ANY,
    OPERATOR,
    ROUTER,
    Request,
    Row,
    get,
    post,
)

PHONE = {"ip": "{ip}", "mac": "{mac}"}
HELLO = post(
    "/relay/device/hello",
    {"deviceToken": "{token}", "mikId": "R1", **PHONE, "userAgent": None},
)
ORDER = post(
    "/relay/authorize-by-pedido",
    {"pedidoId": "{order}", "mikId": "R1", "deviceToken": "{token}"},
)
NO_TOKEN = post(
    "/relay/authorize-by-pedido",
    {"pedidoId": "{order}", "mikId": "R1", "deviceToken": None},
)
"""Of an order whose phone the dashboard itself does not know."""
TRIAL = post(
    "/relay/authorize-by-pedido",
    {"pedidoId": "trial:{order}", "mikId": "R1", "deviceToken": "{token}"},
)
CUSTOMER = {"sid": "{token}", **PHONE, "identity": "R1", "routerHint": "R1"}
REFRESH = post("/relay/identity/refresh", CUSTOMER)
STATUS = "/relay/identity/status?sid="
RETRY = post("/relay/identity/retry-now", {"sid": "{token}"}, headers=OPERATOR)
SENTENCES = {"mikId": "R1", "sentences": ["/ip/arp/print"]}
LINE = {
    "host": ROUTER,
    "user": "api",
    "pass": "secret",
    "port": 8728,
    "command": "/ip/hotspot/active/print where address={ip}",
}
ENTRY = {"ok": True, "result.ok": True, "result.results": ANY}
APPLIED = {"ok": True, "state": "APPLIED", "retryInMs": 0}
GRANT = {
    "identity": "R1",
    "pedidoId": "{order}",
    **PHONE,
    "plano": {"minutos": 60, "perfil": "default"},
}
KICKED = {"ok": True, "mikId": "R1", "kicked": 1}
USER = {"mikId": "R1", "username": "{token}", "password": "pw-1"}
REVOKE_OF_USER = {"identity": "R1", "username": "{token}"}
HOTSPOT_USERS = [
    Row(
        "src/lib/relayHotspot.js",
        post(
            "/relay/hotspot/ensure-user",
            {"identity": "R1", "token": "{token}", "minutes": 30},
        ),
        reads={"username": ANY, "password": ANY, "mocked": False},
    ),
    # What its successor has: the names are the caller's own.
    *(
        Row(
            "src/lib/relayHotspot.js",
            post("/relay/hotspot/ensure-user", {**USER, "profile": "gold"}),
            reads={
                "ok": True,
                "mikId": "R1",
                "user.username": "{token}",
                "user.profile": "gold",
                "created": created,
            },
            before=before,
        )
        for created, before in (
            (True, ()),
            (
                False,
                (
                    post(
                        "/relay/hotspot/ensure-user",
                        {**USER, "profile": "gold"},
                    ),
                ),
            ),
        )
    ),
    Row(
        "src/lib/relayHotspot.js",
        post("/relay/hotspot/revoke", REVOKE_OF_USER),
        reads={"ok": True, "state": "APPLIED"},
        before=(post("/relay/hotspot/ensure-user", USER),),
    ),
    *(
        Row(
            "src/lib/relayHotspot.js",
            post("/relay/hotspot/ensure-user", {**USER, **wrong}),
            400,
            {"ok": False, "code": "invalid_payload", "error": ANY},
        )
        for wrong in (
            {"username": None},
            {"username": "a b"},
            {"password": "x" * 65},
            {"profile": "gold/silver"},
            {"minutes": 0},
        )
    ),
    Row(
        "src/lib/relayHotspot.js",
        post("/relay/hotspot/ensure-user", {**USER, "mikId": "nowhere"}),
        404,
        {"code": "MIKROTIK_NODE_NOT_FOUND", "error": ANY},
    ),
]
ROUTER_STATE = {
    "ok": True,
    "public.state": "OK",
    "public.retryInMs": 0,
    "public.messageCode": ANY,
    "public.authorized": ANY,
}
ROUTER_PAGES = (
    "src/lib/relayClient.ts",
    "src/app/api/dispositivos/route.js",
    "src/app/api/frotas/route.js",
    "src/app/api/roteadores/route.js",
    "src/app/api/mikrotik/status/route.js",
    "src/app/api/status-dispositivos/route.js",
)
PAYING = ("src/lib/liberarAcesso.ts", "src/app/api/webhooks/pagarme/route.js")
KICKS = {
    "src/app/api/hotspot/kick/route.ts": ("", {"id": "*1A"}),
    "src/app/api/hotspot/kick/by-ip/route.ts": ("/by-ip", {"ip": "{ip}"}),
    "src/app/api/hotspot/kick/by-mac/route.ts": ("/by-mac", {"mac": "{mac}"}),
    "src/app/api/hotspot/kick/by-user/route.ts": (
        "/by-user",
        {"user": "guest"},
    ),
}


def _token_rows(caller: str, sends: Request, *tokens: str) -> list[Row]:
    """Return a row for each token that a client may be given."""
    return [
        Row(
            caller,
            Request(
                sends.method, sends.path, sends.body, sends.form, token=token
            ),
            reads={"ok": True},
        )
        for token in tokens
    ]


ACCESS = [
    *(
        Row(caller, NO_TOKEN, 400, {"code": "invalid_payload", "error": ANY})
        for caller in PAYING
    ),
    *(
        Row(caller, ORDER, reads={"ok": True}, before=(HELLO,))
        for caller in PAYING
    ),
    *(
        Row(caller, ORDER, 409, {"code": "device_unknown", "error": ANY})
        for caller in PAYING
    ),
    *(
        Row(caller, ORDER, reads={"ok": True}, before=(HELLO, ORDER))
        for caller in PAYING
    ),
    Row("src/app/api/trial/route.js", HELLO, reads={"deviceToken": "{token}"}),
    Row("src/app/api/trial/route.js", TRIAL, before=(HELLO,)),
    Row(
        "src/app/api/trial/route.js",
        TRIAL,
        409,
        {"message": ANY, "error": ANY, "code": "device_unknown"},
    ),
    Row(
        "src/lib/mikrotik/index.ts",
        post("/relay/hotspot/authorize", GRANT),
        reads={**APPLIED, "messageCode": "authorized"},
    ),
    Row(
        "src/lib/mikrotik/index.ts",
        post(
            "/relay/hotspot/revoke",
            {**GRANT, "plano": None, "sessionId": "row-17"},
        ),
        reads={**APPLIED, "messageCode": "revoked"},
        before=(post("/relay/hotspot/authorize", GRANT),),
    ),
]
IDENTITY = [
    Row(
        "src/lib/relayIdentityRefresh.js",
        REFRESH,
        404,
        {"code": "no_pending_payment"},
    ),
    Row(
        "src/lib/relayIdentityRefresh.js",
        post("/relay/identity/refresh", {"sid": "{token}", "identity": "R1"}),
        400,
        {"code": "missing_ip_or_mac"},
        before=(ORDER,),
    ),
    Row(
        "src/lib/relayIdentityRefresh.js",
        REFRESH,
        reads={"authorized": True, "pedidoId": "{order}"},
        before=(ORDER,),
    ),
    Row(
        "src/lib/relayIdentityRefresh.js",
        REFRESH,
        reads={"authorized": True, "idempotent": True, "pedidoId": "{order}"},
        before=(ORDER, REFRESH),
    ),
    Row(
        "src/app/api/relay/identity/status/route.js",
        get(STATUS + "{token}"),
        reads={
            "ok": True,
            "public.state": "NO_PENDING_PAYMENT",
            "public.messageCode": "awaiting_payment",
            "ops": None,
        },
    ),
    Row(
        "src/app/api/relay/identity/status/route.js",
        get(STATUS + "{token}"),
        reads={"ok": True, "public.state": "AUTHORIZED", "ops": None},
        before=(HELLO, ORDER),
    ),
    Row(
        "src/app/api/ops/relay/identity/status/route.js",
        get(STATUS + "{token}", headers=OPERATOR),
        reads={
            "ok": True,
            "public.state": "PENDING",
            "ops.pending.pedidoId": "{order}",
        },
        before=(ORDER,),
    ),
    Row(
        "src/app/api/ops/relay/identity/retry-now/route.js",
        RETRY,
        reads={"ok": True, "scheduled": True, "jobType": "AUTHORIZE_PENDING"},
        before=(ORDER,),
    ),
    *(
        Row(caller, get(f"{STATUS}R1"), reads=ROUTER_STATE)
        for caller in ROUTER_PAGES
    ),
]
HEALTH = [
    *_token_rows(
        "src/app/api/ops/health/route.js",
        get("/relay/health"),
        "RELAY_TOKEN_HEALTH",
        "RELAY_TOKEN_TOOLS",
        "RELAY_TOKEN",
    ),
    Row(
        "src/app/api/ops/health/route.js",
        get("/relay/health", token="RELAY_TOKEN_EXEC"),
        401,
        {"ok": False, "code": "UNAUTHORIZED"},
    ),
    Row(
        "src/app/api/relay/health/route.ts",
        get("/relay/health"),
        reads={"ok": True, "build": ANY, "status": "ok"},
    ),
    Row(
        "src/lib/ops/healthChecks.js",
        get("/health", form="-", token=""),
        reads={"status": "ok"},
    ),
]
ROUTERS = [
    Row(
        "src/app/api/relay/exec-by-device/route.js",
        post("/relay/exec-by-device", SENTENCES, token="RELAY_TOKEN_EXEC"),
        reads={**ENTRY, "mikId": "R1"},
    ),
    Row(
        "src/app/api/command/exec/route.js",
        post("/relay/exec-by-device", SENTENCES),
        reads={**ENTRY, "mikId": "R1"},
    ),
    *_token_rows(
        "src/app/api/relay/exec/route.ts",
        post("/relay/exec", LINE),
        "RELAY_TOKEN_EXEC",
        "RELAY_TOKEN",
    ),
    Row("src/lib/mikrotik/index.ts", post("/relay/exec", LINE), reads=ENTRY),
    Row(
        "src/app/api/relay/ping/route.ts",
        get("/relay/ping", token="RELAY_TOKEN_TOOLS"),
        reads={"ok": True, "mikId": "R1", "result.ok": True},
    ),
    Row(
        "src/app/api/mikrotik/arp/route.js",
        post("/relay/arp/lookup", {"ip": "{ip}", "mikId": "R1"}),
        reads={"mac": ANY, "data.mac": ANY, "entry.macAddress": ANY},
    ),
    Row(
        "src/app/api/mikrotik/upload-redirect/route.js",
        post(
            "/relay/hotspot/upload-redirect",
            {"htmlBase64": "PGh0bWw+", "path": "hotspot4/redirect.html"},
        ),
        501,
        {"ok": False, "error": ANY},
    ),
    Row(
        "src/app/api/hotspot/active/route.ts",
        get("/hotspot/active", token="RELAY_TOKEN_TOOLS"),
        reads={"ok": True, "mikId": "R1", "active": ANY},
    ),
    *(
        Row(
            caller,
            post(f"/hotspot/kick{path}", fields, token=token),
            reads=KICKED,
        )
        for caller, (path, fields) in KICKS.items()
        for token in ("RELAY_TOKEN_EXEC", "RELAY_TOKEN_TOOLS", "RELAY_TOKEN")
    ),
]
ROWS = [*ACCESS, *IDENTITY, *HEALTH, *ROUTERS, *HOTSPOT_USERS]
CALLERS = frozenset(
    (
        *PAYING,
        *ROUTER_PAGES,
        *KICKS,
        "src/app/api/trial/route.js",
        "src/lib/relayIdentityRefresh.js",
        "src/app/api/relay/identity/status/route.js",
        "src/app/api/ops/relay/identity/status/route.js",
        "src/app/api/ops/relay/identity/retry-now/route.js",
        "src/app/api/ops/health/route.js",
        "src/app/api/relay/health/route.ts",
        "src/lib/ops/healthChecks.js",
        "src/app/api/relay/exec-by-device/route.js",
        "src/app/api/command/exec/route.js",
        "src/app/api/relay/exec/route.ts",
        "src/lib/mikrotik/index.ts",
        "src/app/api/relay/ping/route.ts",
        "src/lib/relayHotspot.js",
        "src/app/api/mikrotik/arp/route.js",
        "src/app/api/mikrotik/upload-redirect/route.js",
        "src/app/api/hotspot/active/route.ts",
    )
)
"""The files that the table names, those that call through another one too."""

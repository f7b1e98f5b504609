"""The dashboard of December: form C with x-relay-token, or a Bearer token alone (contract 10.2)."""

from __future__ import annotations

from typing import Any

from integration.bridge.callers.lab_main import CUSTOMER, PHONE, STATUS
from integration.bridge.callers.rows import (
    ANY,
    LEGACY,
    OPERATOR,
    ROUTER,
    TOKENS,
    UNSIGNED,
    Request,
    Row,
    get,
    post,
)

LOGIN = {"host": ROUTER, "user": "api", "pass": "secret", "port": 8728}
LINE = "/ip hotspot active print"
BINDING = (
    "/ip/hotspot/ip-binding/add address={ip} mac-address={mac} "
    'server=hotspot1 type=bypassed comment="paid:{order}"'
)
FIND = '/ip/hotspot/host/remove [find mac-address="{mac}"]'
"""An expression of the console's language, which the API does not have (F10): this client goes on after it."""
GRANT = {"identity": "R1", "pedidoId": "{order}", **PHONE}
ORDER: dict[str, Any] = {
    "pedidoId": "{order}",
    "orderCode": "{order}",
    "token": "{token}",
    "plano": "Acesso 1h",
    "planoMinutos": 60,
    "expiresAt": "2099-01-01T00:00:00.000Z",
    "ipAtual": "{ip}",
    "macAtual": "{mac}",
    "modo": "WEBHOOK",
    "router": {**LOGIN, "secure": False},
    "contexto": {
        "deviceId": "dev-1",
        "mikId": "R1",
        "deviceIdentifier": None,
        "clienteIpInicial": None,
        "clienteMacInicial": None,
    },
}
TRIAL = {
    name: value
    for name, value in ORDER.items()
    if name not in ("pedidoId", "orderCode", "expiresAt")
} | {"plano": "TRIAL", "planoMinutos": 5, "modo": "TRIAL"}
"""It names no order: the token is made for it."""
BOTH_TOKENS = {"x-relay-token": TOKENS["RELAY_TOKEN"]}


def _form_c(
    caller: str, path: str, body: dict[str, Any], token: str, **more: Any
) -> Row:
    """Return a row of a client that signs through src/lib/relayFetch.js."""
    sends = post(path, body, form="C", token=token)

    return Row(caller, sends, setting=LEGACY, **more)


def _bare(caller: str, sends: Request, **more: Any) -> Row:
    """Return a row of a client that does not sign."""
    headers = dict(sends.headers)
    bare = Request(
        sends.method, sends.path, sends.body, form="-", headers=headers
    )
    before = tuple(
        Request(one.method, one.path, one.body, form="-")
        for one in more.pop("before", ())
    )

    return Row(caller, bare, setting=UNSIGNED, before=before, **more)


SIGNED = [
    _form_c(
        "src/app/api/relay/exec-by-device/route.js",
        "/relay/exec-by-device",
        {**LOGIN, "sentences": [LINE]},
        "RELAY_TOKEN_EXEC",
        reads={"ok": True, "result.results": ANY},
    ),
    _form_c(
        "src/app/api/relay/exec/route.ts",
        "/relay/exec",
        {**LOGIN, "command": LINE},
        "RELAY_TOKEN_EXEC",
        reads={"ok": True},
    ),
    _form_c(
        "src/app/api/relay/ping/route.ts",
        "/relay/ping",
        {},
        "RELAY_TOKEN_TOOLS",
        reads={"ok": True, "mikId": "R1"},
    ),
    _form_c(
        "src/lib/relayHotspot.js",
        "/relay/hotspot/ensure-user",
        {},
        "RELAY_TOKEN",
        status=400,
        reads={"code": "invalid_payload", "error": ANY},
    ),
    _form_c(
        "src/lib/relayFetch.js",
        "/relay/exec",
        {**LOGIN, "sentences": [LINE]},
        "RELAY_TOKEN_EXEC",
        reads={"ok": True},
    ),
]
TOOLS = [
    *(
        _bare(
            "src/app/api/hotspot/kick/route.ts",
            post(f"/hotspot/kick{path}", fields),
            reads={"ok": True, "kicked": 1},
        )
        for path, fields in (
            ("", {"id": "*1A"}),
            ("/by-ip", {"ip": "{ip}"}),
            ("/by-mac", {"mac": "{mac}"}),
            ("/by-user", {"user": "guest"}),
        )
    ),
    _bare(
        "src/app/api/hotspot/active/route.ts",
        get("/hotspot/active"),
        reads={"ok": True, "active": ANY},
    ),
    _bare(
        "src/app/api/mikrotik/arp/route.js",
        post(
            "/relay/arp/lookup",
            {"ip": "{ip}", "deviceId": "dev-1", "mikId": "R1"},
        ),
        reads={"mac": ANY},
    ),
    _bare(
        "src/app/api/mikrotik/upload-redirect/route.js",
        post("/relay/hotspot/upload-redirect", {"htmlBase64": "PGh0bWw+"}),
        status=501,
        reads={"ok": False},
    ),
    _bare(
        "src/app/api/command/exec/route.js",
        post("/relay/exec", {**LOGIN, "command": LINE}),
        reads={"ok": True},
    ),
    _bare(
        "src/lib/relay.ts",
        post("/relay/exec", {**LOGIN, "command": LINE}),
        reads={"ok": True},
    ),
    *(
        _bare("src/lib/mikrotik.js", post(path, fields), **more)
        for path, fields, more in (
            (
                "/relay/exec-by-pedido",
                {"pedidoId": "{order}", "command": LINE},
                {
                    "reads": {"ok": True, "data": ANY, "error": None},
                    "before": (post("/relay/authorize-by-pedido", ORDER),),
                },
            ),
            (
                "/relay/exec-by-device",
                {"deviceId": "R1", "mikId": "R1", "command": LINE},
                {"reads": {"ok": True, "data": ANY}},
            ),
            (
                "/relay/exec-by-device",
                {"deviceId": "R1", "mikId": None, "command": LINE},
                {"reads": {"ok": True, "mikId": "R1"}},
            ),
            (
                "/relay/exec",
                {**LOGIN, "command": BINDING},
                {"reads": {"ok": True, "data": ANY}},
            ),
            (
                "/relay/exec-by-device",
                {"deviceId": "R1", "mikId": "R1", "command": FIND},
                {
                    "status": 400,
                    "reads": {"code": "unsupported_syntax", "error": ANY},
                },
            ),
        )
    ),
]
ACCESS = [
    _bare(
        "src/lib/liberarAcesso.ts",
        post("/relay/authorize-by-pedido", ORDER),
        reads={"ok": True, "ip": "{ip}", "mac": "{mac}"},
    ),
    _bare(
        "src/lib/liberarAcesso.ts",
        post("/relay/resync-device", {**ORDER, "modo": "RECONEXAO"}),
        reads={"ok": True, "mikId": "R1"},
        before=(post("/relay/authorize-by-pedido", ORDER),),
    ),
    _bare(
        "src/app/api/trial/route.js",
        post("/relay/authorize-by-pedido", TRIAL),
        reads={"ok": True, "pedidoId": "trial:{token}"},
    ),
    _bare(
        "src/lib/relayClient.ts",
        get("/relay/identity/status?identity=R1"),
        reads={"state": "OK", "retryInMs": 0, "messageCode": ANY},
    ),
    _bare(
        "src/lib/relayClient.ts",
        post("/relay/hotspot/authorize", GRANT),
        reads={"ok": True, "state": "APPLIED", "retryInMs": 0},
    ),
    _bare(
        "src/lib/relayClient.ts",
        post("/relay/hotspot/revoke", GRANT),
        reads={"ok": True, "state": "APPLIED", "retryInMs": 0},
        before=(post("/relay/hotspot/authorize", GRANT),),
    ),
    _bare(
        "src/lib/relayIdentityRefresh.js",
        post("/relay/identity/refresh", CUSTOMER),
        status=404,
        reads={"code": "no_pending_payment"},
    ),
    _bare(
        "src/lib/relayIdentityRefresh.js",
        post("/relay/identity/refresh", {**CUSTOMER, **PHONE}),
        reads={"authorized": True, "pedidoId": "{order}"},
        before=(
            post(
                "/relay/authorize-by-pedido",
                {
                    "pedidoId": "{order}",
                    "mikId": "R1",
                    "deviceToken": "{token}",
                },
            ),
        ),
    ),
    _bare(
        "src/lib/relayProxy.js",
        get(STATUS + "{token}"),
        reads={"ok": True, "public.state": ANY},
    ),
    _bare(
        "src/app/api/ops/relay/identity/status/route.js",
        get(STATUS + "{token}", headers=OPERATOR),
        reads={"ok": True, "ops": ANY},
    ),
    _bare(
        "src/app/api/ops/relay/identity/retry-now/route.js",
        post(
            "/relay/identity/retry-now", {"sid": "{token}"}, headers=OPERATOR
        ),
        status=404,
        reads={"code": "no_pending"},
    ),
    Row(
        "src/app/api/ops/health/route.js",
        get("/relay/health", form="-", headers=BOTH_TOKENS),
        reads={"ok": True, "build": ANY},
    ),
]
ROWS = [*SIGNED, *TOOLS, *ACCESS]
CALLERS = frozenset(
    (
        "src/app/api/relay/exec-by-device/route.js",
        "src/app/api/relay/exec/route.ts",
        "src/app/api/relay/ping/route.ts",
        "src/lib/relayFetch.js",
        "src/lib/relayHotspot.js",
        "src/lib/relay.ts",
        "src/app/api/hotspot/kick/route.ts",
        "src/app/api/hotspot/active/route.ts",
        "src/app/api/mikrotik/arp/route.js",
        "src/app/api/mikrotik/upload-redirect/route.js",
        "src/app/api/command/exec/route.js",
        "src/lib/liberarAcesso.ts",
        "src/app/api/trial/route.js",
        "src/lib/relayClient.ts",
        "src/lib/relayIdentityRefresh.js",
        "src/lib/relayProxy.js",
        "src/app/api/ops/health/route.js",
        "src/app/api/ops/relay/identity/status/route.js",
        "src/app/api/ops/relay/identity/retry-now/route.js",
        "src/lib/mikrotik.js",
    )
)

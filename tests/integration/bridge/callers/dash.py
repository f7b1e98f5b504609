"""The oldest dashboard and its workers, which send a Bearer token alone (contract 10.3), and the relay's own
scripts (10.4).
"""

from __future__ import annotations

from typing import Any

from integration.bridge.callers.lab_master import LINE, LOGIN
from integration.bridge.callers.rows import (
    ANY,
    KEY,
    TOKENS,
    UNSIGNED,
    Request,
    Row,
    get,
    post,
)

WORKER = "worker-liberar-acesso.mjs"
PAID = [
    "/ip/firewall/address-list/add",
    "=list=paid_clients",
    "=address={ip}",
    "=comment=pedido:{order}",
]


def _bare(caller: str, sends: Request, **more: Any) -> Row:
    return Row(caller, sends, setting=UNSIGNED, **more)


def _post(path: str, body: dict[str, Any]) -> Request:
    return post(path, body, form="-")


DASH = [
    Row("dashboard health", get("/health", form="-"), reads={"status": "ok"}),
    _bare(
        "dashboard exec",
        _post("/relay/exec", {**LOGIN, "command": LINE}),
        reads={"ok": True, "result.ok": True, "data": ANY},
    ),
    _bare(
        "dashboard active",
        get("/hotspot/active", form="-"),
        reads={"ok": True, "active": ANY},
    ),
    *(
        _bare(
            "dashboard kick",
            _post(f"/hotspot/kick{path}", fields),
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
        "dashboard exec-by-pedido",
        _post(
            "/relay/exec-by-pedido", {"pedidoId": "{order}", "command": LINE}
        ),
        reads={"ok": True, "data": ANY},
    ),
    _bare(
        "dashboard exec-by-device",
        _post("/relay/exec-by-device", {"deviceId": "R1", "command": LINE}),
        reads={"ok": True, "data": ANY},
    ),
    _bare(
        "dashboard upload-redirect",
        Request(
            "POST",
            "/relay/exec2",
            {"sentences": [["/file/print", "?name=hotspot4/redirect.html"]]},
            form="-",
            token="",
            headers={"x-relay-token": TOKENS["RELAY_TOKEN"]},
        ),
        reads={"ok": True, "data": ANY},
    ),
    *(
        _bare(
            "dashboard exec",
            _post("/relay/exec", {**LOGIN, "command": command}),
            reads={"ok": True, "data": ANY, "result.commands": [words]},
        )
        for command, words in (
            (
                "/ping address=1.1.1.1 count=3",
                "/ping =address=1.1.1.1 =count=3",
            ),
            ("/ip/arp/print", "/ip/arp/print"),
            ("/system/identity/print", "/system/identity/print"),
        )
    ),
    _bare(
        WORKER,
        _post("/relay/exec2", {"sentences": PAID}),
        reads={"ok": True, "data": ANY, "error": None},
    ),
    _bare(
        WORKER,
        _post("/relay/exec2", {**LOGIN, "sentences": [PAID]}),
        reads={"ok": True, "data": ANY, "error": None},
    ),
    _bare(
        WORKER,
        _post("/relay/exec2", {"sentences": []}),
        status=400,
        reads={"ok": False, "error": ANY},
    ),
]
PHONE = {"ip": "{ip}", "mac": "{mac}", "router": "R1"}
START = post("/session/init", {"sessionId": "{order}", **PHONE})
AUTHORIZE = post(
    "/session/authorize",
    {"sessionId": "{order}", "plano": "teste", "tempo": 300_000},
)
SHOW = get("/session/{order}")
REVOKE = post("/session/revoke", {"sessionId": "{order}"})
FLOW = (
    (START, {"ok": True, "sessionId": "{order}"}),
    (SHOW, {"ok": True, "session.status": "pending"}),
    (
        AUTHORIZE,
        {
            "ok": True,
            "session.status": "authorized",
            "session.expiresAt": ANY,
        },
    ),
    (SHOW, {"session.status": "authorized", "session.active": True}),
    (REVOKE, {"ok": True, "session.status": "revoked"}),
)
OWN = [
    Row(
        "scripts/test/hmacRelayTest.js",
        post(
            "/relay/exec",
            {**LOGIN, "command": "/system/identity/print", "params": {}},
        ),
        reads={"ok": True, "result": ANY},
    ),
    *(
        Row(
            caller,
            sends,
            reads=reads,
            before=tuple(one for one, _ in FLOW[:number] if one is not SHOW),
        )
        for caller in (
            "scripts/test/fullFlow.mjs",
            "scripts/test/sessionTest.mjs",
        )
        for number, (sends, reads) in enumerate(FLOW)
    ),
    Row(
        "test shell scripts",
        post("/session/start", {"ip": "{ip}", "mac": "{mac}", "router": "R1"}),
        reads={"ok": True, "sessionId": ANY},
    ),
    Row(
        "scripts/run-probe.js",
        post(
            "/internal/mikrotik/probe",
            {"publicKey": KEY, "username": "api", "password": "secret"},
            form="-",
            token="",
            headers={"x-relay-internal-token": TOKENS["RELAY_INTERNAL_TOKEN"]},
        ),
        reads={
            "ok": True,
            "deviceId": "R1",
            "identity": ANY,
            "version": ANY,
            "board": ANY,
        },
    ),
]
ROWS = [*DASH, *OWN]
CALLERS = frozenset(
    (
        "dashboard health",
        "dashboard exec",
        "dashboard active",
        "dashboard kick",
        "dashboard exec-by-pedido",
        "dashboard exec-by-device",
        "dashboard upload-redirect",
        WORKER,
        "scripts/test/hmacRelayTest.js",
        "scripts/test/fullFlow.mjs",
        "scripts/test/sessionTest.mjs",
        "test shell scripts",
        "scripts/run-probe.js",
    )
)

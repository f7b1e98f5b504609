"""The endpoints: each reads its request, has it done, and gives the body of the answer. Thin on purpose."""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cerebro.bridge.devices.tunnels import Tunnels
from cerebro.bridge.endpoints.base import dry_run_fields, read_call
from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.http.answers import Call, json_response
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.rate_limit import Limiter
from cerebro.bridge.http.routes import Route
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests import devices
from cerebro.bridge.requests import orders as requests
from cerebro.bridge.requests.fields import Fields, printable, text

EXAMPLE_ORDER = {"pedidoId": "P-1001", "mikId": "R1", "deviceToken": "t-1"}
EXAMPLE_ADDRESS = {"ipAtual": "10.5.50.10", "macAtual": "AA:BB:CC:DD:EE:FF"}
EXAMPLE_ROUTER = {"deviceId": "R1", "tunnelIp": "10.8.0.7", "allowedIps": ["192.168.88.0/24"]}


class Handlers:
    """The endpoints of one bridge."""

    def __init__(self, relay: OrderService, tunnels: Tunnels, state: Callable[[], Mapping[str, Any]]) -> None:
        """`state` tells what the health pages say: see `main.py`."""
        self._relay = relay
        self._tunnels = tunnels
        self._state = state
        self._started = time.monotonic()
        settings = relay.settings
        self._limiter = Limiter(settings.rate_limit or 600, settings.rate_window_ms / 1000)

    def routes(self) -> list[Route]:
        """Give all endpoints."""
        order = {**EXAMPLE_ORDER, "planoMinutos": 60}
        return [
            Route("GET", "/health", Access.OPEN, self.health, "Whether all is well: ok or degraded"),
            Route("GET", "/health/live", Access.OPEN, self.live, "Whether the process turns"),
            Route("GET", "/health/ready", Access.OPEN, self.ready, "Whether it can take requests"),
            Route("GET", "/relay/health", Access.HEALTH, self.relay_health, "Service, time and build"),
            Route("GET", "/relay/metrics", Access.METRICS, self.metrics, "Metrics for Prometheus"),
            Route("GET", "/metrics", Access.METRICS, self.metrics, "Metrics for Prometheus"),
            Route(
                *("POST", "/relay/device/hello", Access.SIGNED, self.hello, "A portal saw this phone"),
                {"deviceToken": "t-1", "mikId": "R1", "ip": "10.5.50.10", "mac": "AA:BB:CC:DD:EE:FF"},
            ),
            Route(
                *("POST", "/relay/authorize-by-pedido", Access.SIGNED, self.authorize),
                *("Let a client in for an order", order),
            ),
            Route(
                *("POST", "/relay/resync-device", Access.SIGNED, self.resync),
                *("The order's client has another address", {**EXAMPLE_ORDER, **EXAMPLE_ADDRESS}),
            ),
            Route(
                *("POST", "/relay/revoke", Access.SIGNED, self.revoke, "End a client's or an order's access"),
                {"mikId": "R1", "mac": "AA:BB:CC:DD:EE:FF"},
            ),
            Route(
                *("POST", "/relay/action", Access.SIGNED, self.action, "One of the three actions by name"),
                {"action": "AUTHORIZE_BY_PEDIDO", "payload": {**EXAMPLE_ORDER, **EXAMPLE_ADDRESS}},
            ),
            Route(
                *("POST", "/mikrotik/bootstrap", Access.SIGNED, self.bootstrap),
                *("The script for a router's tunnel; with its key, the tunnel", EXAMPLE_ROUTER),
            ),
        ]

    async def health(self, _: Request) -> Response:
        """Say ok, or degraded while something that we need is away; always 200."""
        state = self._state()
        return json_response(
            {"status": "ok" if state["healthy"] else "degraded", **dry_run_fields(self._relay)}
        )

    async def live(self, _: Request) -> Response:
        """Say that the event loop turns; never that the API server answers (E11)."""
        return json_response({"status": "alive"})

    async def ready(self, _: Request) -> Response:
        """Say whether a request can be taken into the inbox (E11)."""
        state = self._state()
        body = {
            "status": "ready" if state["ready"] else "not ready",
            "uptime": round(time.monotonic() - self._started, 3),
            "database": "ok" if state["store"] is None else state["store"],
            "hmac": "ok" if self._relay.settings.secret else "off",
        }
        return json_response(body, 200 if state["ready"] else 503)

    async def relay_health(self, _: Request) -> Response:
        """Say what runs here, in the fields that clients of every age read."""
        settings = self._relay.settings
        return json_response(
            {
                "ok": True,
                "status": "ok" if self._state()["healthy"] else "degraded",
                "service": "relay",
                "ts": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "uptimeMs": round((time.monotonic() - self._started) * 1000),
                "build": {"version": settings.version, "sha": settings.sha},
                **dry_run_fields(self._relay),
            }
        )

    async def metrics(self, _: Request) -> Response:
        """Render the metrics."""
        backlog = await self._relay.store.backlog()
        text = self._relay.metrics.text(backlog.count, backlog.oldest)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def hello(self, request: Request) -> Response:
        """Note a phone's address."""
        call, fields = read_call(request)
        hello = devices.hello(fields, call.requested_at, call.trace_id, str(uuid.uuid4()))
        self._limiter.check((hello.mik_id or "").casefold(), call.arrived)
        return json_response(await self._relay.hello(hello))

    async def authorize(self, request: Request) -> Response:
        """Let a client in."""
        call, fields = read_call(request)
        return json_response(await self._grant("AUTHORIZE_BY_PEDIDO", call, fields))

    async def resync(self, request: Request) -> Response:
        """Let an order's client in at its new address."""
        call, fields = read_call(request)
        return json_response(await self._grant("RESYNC_DEVICE", call, fields))

    async def revoke(self, request: Request) -> Response:
        """End access."""
        call, fields = read_call(request)
        return json_response(await self._revoke(call, fields))

    async def action(self, request: Request) -> Response:
        """Do one of the three actions by its name (contract 5)."""
        call, fields = read_call(request)
        name = fields.get("action")
        if not isinstance(name, str) or not name:
            raise invalid("action required")
        trace_id = text(fields, "traceId", limit=128) or call.trace_id
        call = Call(call.body, call.arrived, call.requested_at, trace_id)
        payload = fields.get("payload", {})
        try:
            if not isinstance(payload, Mapping):
                raise invalid("payload must be an object")
            result = await self._act(name, call, payload)
        except ApiError as error:
            status = 400 if error.status == 404 else error.status
            body = {"status": 403} if status == 403 else {"action": name[:64], "traceId": trace_id}
            raise ApiError(status, error.code, error.text, **{**error.extra, **body}) from None
        return json_response({"ok": True, "action": name, "traceId": trace_id, "result": result})

    async def bootstrap(self, request: Request) -> Response:
        """Give a router's script, and take its key."""
        call, fields = read_call(request)
        asked = devices.bootstrap(fields)
        self._limiter.check(asked.device_id.casefold(), call.arrived)
        return json_response(await self._tunnels.bootstrap(asked, call.arrived))

    async def _act(self, name: str, call: Call, payload: Fields) -> Mapping[str, Any]:
        if name in ("AUTHORIZE_BY_PEDIDO", "RESYNC_DEVICE"):
            return await self._grant(name, call, payload, order_required=False)
        if name == "REVOKE_SESSION":
            return await self._revoke(call, payload)
        raise ApiError(403, "ACTION_NOT_ALLOWED", f"Action not allowed: {printable(name)[:64]}")

    async def _grant(
        self, name: str, call: Call, fields: Fields, *, order_required: bool = True
    ) -> Mapping[str, Any]:
        resync = name == "RESYNC_DEVICE"
        minutes = self._relay.settings.trial_minutes
        order = requests.authorize(
            fields, call.requested_at, call.trace_id, resync=resync, trial_minutes=minutes
        )
        if order.order_id is None and (order_required or resync):
            raise invalid("pedidoId required")
        return await self._counted(name, call, order.mik_id, self._relay.grant(order, call.arrived))

    async def _revoke(self, call: Call, fields: Fields) -> Mapping[str, Any]:
        revoke = requests.revoke(fields, call.requested_at, call.trace_id)
        return await self._counted(
            "REVOKE_SESSION", call, revoke.mik_id, self._relay.revoke(revoke, call.arrived)
        )

    async def _counted(
        self, name: str, call: Call, mik_id: str | None, work: Awaitable[Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        ok = False
        try:
            body = await work
            ok = True
            return body
        finally:
            took = (time.monotonic() - call.arrived) * 1000
            self._relay.metrics.action(name, ok, took, self._relay.known_router(mik_id))

"""The endpoints about a customer's identity: grant what was paid, and tell how it is (A6)."""

from __future__ import annotations

from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.endpoints.base import read_call
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.rate_limit import Limiter
from cerebro.bridge.http.refusals import (
    ALL_KNOWN,
    GRANT_REFUSALS,
    KUBERNETES,
    codes,
    merge,
)
from cerebro.bridge.http.routes import Route
from cerebro.bridge.identities.answers import (
    AuthorizedAnswer,
    IdentityStatusAnswer,
    RetryAnswer,
    ScheduledAnswer,
)
from cerebro.bridge.identities.service import IdentityService
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests import identity as requests

_CUSTOMER = {
    "sid": "t-1",
    "identity": "R1",
    "ip": "10.5.50.10",
    "mac": "AA:BB:CC:DD:EE:FF",
}
_CUSTOMER_REFUSED = codes(
    s400="missing_sid router_not_resolved missing_ip_or_mac",
    s404="no_pending_payment",
)
_RETRY_REFUSED = merge(
    KUBERNETES,
    ALL_KNOWN,
    codes(
        s400="missing_sid",
        s403="forbidden_ops_only",
        s404="no_pending",
        s429="retry_rate_limited",
    ),
)


class IdentityEndpoints:
    """Refresh, status and retry of identities."""

    def __init__(self, service: OrderService) -> None:
        self._identities = IdentityService(service)
        settings = service.settings
        self._retries = Limiter(1, settings.retry_cooldown_ms / 1000)
        self._limiter = Limiter(
            settings.calls_per_router, settings.rate_window_ms / 1000
        )

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(
                method="POST",
                path="/relay/identity/refresh",
                access=Access.SIGNED,
                handler=self.refresh,
                summary="A portal sees a customer: grant what was paid",
                answer=AuthorizedAnswer | ScheduledAnswer,
                example=_CUSTOMER,
                fields=("routerHint",),
                required=("sid",),
                refusals=merge(GRANT_REFUSALS, _CUSTOMER_REFUSED),
            ),
            Route(
                method="GET",
                path="/relay/identity/status",
                access=Access.SIGNED,
                handler=self.status,
                summary="How a customer's access is, or a router",
                answer=IdentityStatusAnswer,
                query={
                    "sid": "The customer's identity, or a router's identifier.",
                    "identity": "The same, as older dashboards call it.",
                },
                refusals=codes(s400="missing_sid", s503="starting"),
            ),
            Route(
                method="POST",
                path="/relay/identity/retry-now",
                access=Access.SIGNED,
                handler=self.retry_now,
                summary="Have a customer's order tried anew; for operators",
                answer=RetryAnswer,
                example={"sid": "t-1"},
                required=("sid",),
                refusals=_RETRY_REFUSED,
            ),
        ]

    async def refresh(self, request: Request) -> Answer:
        """Note where the customer's phone is, and let it in for what was
        paid under its `sid`.

        `authorized: true` says that the entry is on the router; `false` that
        the router has not confirmed it yet, and that it goes on being tried.
        """
        call, fields = read_call(request)
        refresh = requests.refresh(fields, call.requested_at, call.trace_id)

        return await self._identities.refresh(refresh, call.arrived)

    async def status(self, request: Request) -> Answer:
        """Answer how a customer's access is, or how a router is if `sid` is
        a router's identifier; `sid` or `identity` must be sent.

        With the internal token in `x-relay-internal`, `ops` has what
        operators see.
        """
        call: Call = request.state.call
        sid = requests.sid_of(request.query_params, "sid", "identity")
        self._limiter.check(sid.casefold(), call.arrived)

        return await self._identities.status(sid, for_operators=call.internal)

    async def retry_now(self, request: Request) -> Answer:
        """Have the customer's order tried anew now; 200 says that it is
        scheduled. It needs the internal token in `x-relay-internal` besides
        the main token.
        """
        call, fields = read_call(request)
        if not call.internal:
            raise ApiError(
                403,
                "forbidden_ops_only",
                "for operators only: send x-relay-internal with the internal token",
            )

        sid = requests.sid_of(fields)
        try:
            self._retries.check(sid, call.arrived)
        except ApiError as error:
            raise ApiError(
                429,
                "retry_rate_limited",
                error.text,
                retry_after=error.retry_after,
                **error.extra,
            ) from None

        return await self._identities.retry_now(
            sid, call.trace_id, call.arrived
        )

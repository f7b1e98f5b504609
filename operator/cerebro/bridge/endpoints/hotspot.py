"""The endpoints of the newest of the old dashboards: a client in and out by the dashboard's own session."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request

from cerebro.bridge.answers import Answer, ErrorAnswer
from cerebro.bridge.endpoints.base import (
    counted,
    read_call,
)
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.refusals import (
    GRANT_REFUSALS,
    REVOKE_REFUSALS,
    codes,
    merge,
)
from cerebro.bridge.http.routes import Route
from cerebro.bridge.metrics import AUTHORIZE, REVOKE
from cerebro.bridge.orders.answers import GrantAnswer, RevokeAnswer
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests import hotspot as requests

_CLIENT = {
    "identity": "R1",
    "pedidoId": "P-1001",
    "ip": "10.5.50.10",
    "mac": "AA:BB:CC:DD:EE:FF",
}
_NOT_SERVED = {
    "/relay/upload-redirect": "files on routers are not written here: put the page on the router by hand",
    "/relay/hotspot/upload-redirect": "files on routers are not written here: put the page on the router by hand",
    "/relay/hotspot/ensure-user": "hotspot users are not made yet: authorize the client by its MAC or address",
}
"""Paths of the old relay that answer 501, and the sentence of each."""


class AppliedAnswer(Answer):
    """The router is as asked."""

    ok: Literal[True] = True
    state: Literal["APPLIED"] = "APPLIED"
    retry_in_ms: Literal[0] = 0
    message_code: Literal["authorized", "revoked"]


class HotspotGrantAnswer(AppliedAnswer):
    """The client has access."""

    message_code: Literal["authorized"] = "authorized"
    result: GrantAnswer


class HotspotRevokeAnswer(AppliedAnswer):
    """The access ended."""

    message_code: Literal["revoked"] = "revoked"
    result: RevokeAnswer


class HotspotEndpoints:
    """Access by a dashboard's session."""

    def __init__(self, service: OrderService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(
                method="POST",
                path="/relay/hotspot/authorize",
                access=Access.SIGNED,
                handler=self.authorize,
                summary="Let a client in for an order or a session",
                answer=HotspotGrantAnswer,
                example={**_CLIENT, "plano": {"minutos": 60}},
                fields=("sessionId", "deviceToken"),
                required=(
                    ("pedidoId", "sessionId"),
                    ("deviceToken", "ip", "mac"),
                ),
                refusals=merge(
                    GRANT_REFUSALS, codes(s400="missing_sessionId")
                ),
            ),
            Route(
                method="POST",
                path="/relay/hotspot/revoke",
                access=Access.SIGNED,
                handler=self.revoke,
                summary="End the access of an order, a session or a client",
                answer=HotspotRevokeAnswer,
                example=_CLIENT,
                fields=("sessionId", "deviceToken"),
                required=(
                    ("pedidoId", "sessionId", "deviceToken", "ip", "mac"),
                ),
                refusals=REVOKE_REFUSALS,
            ),
            *(
                Route(
                    method="POST",
                    path=path,
                    access=Access.SIGNED,
                    handler=self.not_served,
                    summary="Not served: 501 with a sentence",
                    answer=ErrorAnswer,
                    example={"mikId": "R1"},
                    refusals=codes(s501="not_implemented"),
                )
                for path in _NOT_SERVED
            ),
        ]

    async def authorize(self, request: Request) -> Answer:
        """Let a phone in for `pedidoId`, else for the caller's `sessionId`,
        and answer when its entry is on the router.

        An error has `state` too: PENDING while it goes on being tried, after
        `retryInMs`; else FAILED.
        """
        call, fields = read_call(request)
        order = requests.authorize(
            fields,
            call.requested_at,
            call.trace_id,
            trial_minutes=self._service.settings.trial_minutes,
        )

        work = self._service.grant(order, call.arrived)
        try:
            result = await counted(
                self._service, AUTHORIZE, call, order.mik_id, work
            )
        except ApiError as error:
            raise _with_state(error) from None

        return HotspotGrantAnswer(result=result)

    async def revoke(self, request: Request) -> Answer:
        """End the access of `pedidoId`, of `sessionId`, or of a phone by its
        addresses, and answer when nothing on the router is due to it.
        """
        call, fields = read_call(request)
        revoke = requests.revoke(
            fields,
            call.requested_at,
            call.trace_id,
            is_known=self._is_known,
        )

        work = self._service.revoke(revoke, call.arrived)
        try:
            result = await counted(
                self._service, REVOKE, call, revoke.mik_id, work
            )
        except ApiError as error:
            raise _with_state(error) from None

        return HotspotRevokeAnswer(result=result)

    async def not_served(self, request: Request) -> Answer:
        """Answer 501 in any case: this release does not do it, and says what
        to do instead.
        """
        raise ApiError(501, "not_implemented", _NOT_SERVED[request.url.path])

    def _is_known(self, order_id: str) -> bool:
        return bool(self._service.sessions.of_order(order_id))


def _with_state(error: ApiError) -> ApiError:
    """Return an error with the fields that these clients read beside it."""
    is_pending = bool(error.extra.get("pending"))
    wait_ms = round((error.retry_after or 0) * 1000)

    return error.retold(
        error.status,
        state="PENDING" if is_pending else "FAILED",
        retryInMs=wait_ms,
        messageCode="authorization_scheduled" if is_pending else error.code,
    )

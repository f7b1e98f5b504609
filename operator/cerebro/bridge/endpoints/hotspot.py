"""The endpoints of the newest of the old dashboards: a client in and out by the dashboard's own session."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request

from cerebro.bridge.answers import Answer, ErrorAnswer
from cerebro.bridge.endpoints.base import (
    counted,
    read_call,
)
from cerebro.bridge.endpoints.page_fields import USER_FIELDS
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.refusals import (
    GRANT_REFUSALS,
    REVOKE_REFUSALS,
    USER_REFUSALS,
    codes,
    merge,
)
from cerebro.bridge.http.routes import Route
from cerebro.bridge.metrics import AUTHORIZE, REVOKE
from cerebro.bridge.orders.answers import GrantAnswer, RevokeAnswer
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests import hotspot as requests
from cerebro.bridge.requests.fields import Fields, mik_id, read_token
from cerebro.bridge.users.answers import UserAnswer
from cerebro.bridge.users.service import HotspotUsers

_CLIENT = {
    "identity": "R1",
    "pedidoId": "P-1001",
    "ip": "10.5.50.10",
    "mac": "AA:BB:CC:DD:EE:FF",
}
_USER = {
    "mikId": "R1",
    "username": "guest-17",
    "password": "s3cret-17",
    "profile": "default",
    "minutes": 60,
}
_NOT_SERVED = {
    "/relay/upload-redirect": "files on routers are not written here: put the page on the router by hand",
    "/relay/hotspot/upload-redirect": "files on routers are not written here: put the page on the router by hand",
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

    def __init__(self, service: OrderService, users: HotspotUsers) -> None:
        self._service = service
        self._users = users

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
                fields=("sessionId", "deviceToken", "username"),
                schemas=USER_FIELDS,
                required=(
                    (
                        "pedidoId",
                        "sessionId",
                        "deviceToken",
                        "ip",
                        "mac",
                        "username",
                    ),
                ),
                refusals=REVOKE_REFUSALS,
            ),
            self._route_of_users(),
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

    def _route_of_users(self) -> Route:
        return Route(
            method="POST",
            path="/relay/hotspot/ensure-user",
            access=Access.SIGNED,
            handler=self.ensure_user,
            summary="Have a hotspot user on a router",
            answer=UserAnswer,
            example=_USER,
            fields=("token", "deviceToken", "identity", "expiresAt"),
            schemas=USER_FIELDS,
            required=(("username", "token", "deviceToken"),),
            refusals=USER_REFUSALS,
        )

    async def ensure_user(self, request: Request) -> Answer:
        """Have a user on the router with which phones log in at the hotspot,
        and answer when it is there: the same call again changes nothing.

        Without `username` the user is that of the portal's `token`, and without
        `password` the bridge makes one, the same each time, and answers with it.
        The user goes at `expiresAt`, or after `minutes`; with neither it stays
        until it is revoked. A user that is over is made anew by a later call.
        """
        call, fields = read_call(request)
        wanted = requests.ensure_user(fields, call.requested_at, call.trace_id)

        return await self._users.ensure(wanted, call.arrived)

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
        """End the access of `pedidoId`, of `sessionId`, of the hotspot user
        `username`, or of a phone by its addresses, and answer when nothing on
        the router is due to it.
        """
        call, fields = read_call(request)
        if requests.names_user_alone(fields):
            fields = {**fields, "pedidoId": await self._place_of_user(fields)}

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

    async def _place_of_user(self, fields: Fields) -> str:
        """Return what stands in an order's place for the user of a revoke."""
        return await self._users.place(
            mik_id(fields),
            read_token(fields),
            requests.user_name(fields) or "",
        )

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

"""The endpoints about orders: let a client in, move it, end its access; and the same by an action's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.endpoints.base import (
    counted,
    read_call,
)
from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.refusals import (
    GRANT_REFUSALS,
    REVOKE_REFUSALS,
    codes,
    merge,
)
from cerebro.bridge.http.routes import Route
from cerebro.bridge.metrics import AUTHORIZE, RESYNC, REVOKE
from cerebro.bridge.orders.answers import GrantAnswer, RevokeAnswer
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests import orders as requests
from cerebro.bridge.requests.fields import Fields, printable, text

_ORDER = {"pedidoId": "P-1001", "mikId": "R1", "deviceToken": "t-1"}
_ADDRESS = {"ipAtual": "10.5.50.10", "macAtual": "AA:BB:CC:DD:EE:FF"}
_PHONE = ("deviceToken", "ip", "mac")
"""Fields of which one must say which phone is meant."""
_ACTION = merge(
    GRANT_REFUSALS,
    REVOKE_REFUSALS,
    codes(s400="MIKROTIK_NODE_NOT_FOUND", s403="ACTION_NOT_ALLOWED"),
)
_PRINTED_NAME = 64
"""How much of an action's name an error repeats."""


class ActionAnswer(Answer):
    """The result of an action, which is what the endpoint of its own answers."""

    ok: Literal[True] = True
    action: str
    trace_id: str
    result: GrantAnswer | RevokeAnswer


class OrderEndpoints:
    """Orders and revokes."""

    def __init__(self, service: OrderService) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(
                method="POST",
                path="/relay/authorize-by-pedido",
                access=Access.SIGNED,
                handler=self.authorize,
                summary="Let a client in for an order",
                answer=GrantAnswer,
                example={**_ORDER, "planoMinutos": 60},
                fields=("ip", "mac", "expiresAt", "tempo"),
                required=("pedidoId", _PHONE),
                refusals=GRANT_REFUSALS,
            ),
            Route(
                method="POST",
                path="/relay/resync-device",
                access=Access.SIGNED,
                handler=self.resync,
                summary="The order's client has another address",
                answer=GrantAnswer,
                example={**_ORDER, **_ADDRESS},
                fields=("planoMinutos", "expiresAt"),
                required=("pedidoId", ("ipAtual", "macAtual")),
                refusals=GRANT_REFUSALS,
            ),
            Route(
                method="POST",
                path="/relay/revoke",
                access=Access.SIGNED,
                handler=self.revoke,
                summary="End a client's or an order's access",
                answer=RevokeAnswer,
                example={"mikId": "R1", "mac": "AA:BB:CC:DD:EE:FF"},
                fields=("pedidoId", "ip", "deviceToken"),
                required=(("pedidoId", *_PHONE),),
                refusals=REVOKE_REFUSALS,
            ),
            Route(
                method="POST",
                path="/relay/action",
                access=Access.SIGNED,
                handler=self.action,
                summary="One of the three actions by name",
                answer=ActionAnswer,
                example={
                    "action": AUTHORIZE,
                    "payload": {**_ORDER, **_ADDRESS},
                },
                required=("action",),
                refusals=_ACTION,
            ),
        ]

    async def authorize(self, request: Request) -> Answer:
        """Let the phone of an order in, and answer when its entry is on the
        router.

        The phone is named by `ip` and `mac` (older clients: `ipAtual`,
        `macAtual`, or inside `contexto`), or by the `deviceToken` of a hello.
        The access ends at `expiresAt`, else after the length that was sent,
        else after RELAY_PAID_MINUTES. The same order sent again is the same
        order, so it may be sent until the answer is 200. After 503 with
        `pending: true` the order is kept, and goes on being tried.
        """
        call, fields = read_call(request)
        return await self._grant(AUTHORIZE, call, fields)

    async def resync(self, request: Request) -> Answer:
        """Let an order's phone in at its new address, and answer when its
        entry is on the router.

        The access moves: what the phone had at its old address ends.
        """
        call, fields = read_call(request)
        return await self._grant(RESYNC, call, fields)

    async def revoke(self, request: Request) -> Answer:
        """End the access of an order or of a phone, and answer when nothing
        on the router is due to it.

        `ip` alone means the phone that is at that address now. A revoke of
        something that has no access is 200 too.
        """
        call, fields = read_call(request)
        return await self._revoke(call, fields)

    async def action(self, request: Request) -> Answer:
        """Do one of three actions by its name, with what the endpoint of its
        own takes as `payload`, and answer as that one does.

        An error has `action` and `traceId` too; where the other endpoints
        say 404, this one says 400.
        """
        call, fields = read_call(request)
        name = fields.get("action")
        if not isinstance(name, str) or not name:
            raise invalid("action required")

        # The body may name a trace of its own.
        trace_id = text(fields, "traceId", limit=128) or call.trace_id
        call = Call(call.body, call.arrived, call.requested_at, trace_id)

        payload = fields.get("payload", {})
        try:
            if not isinstance(payload, Mapping):
                raise invalid("payload must be an object")

            result = await self._act(name, call, payload)
        except ApiError as error:
            raise _error_of_action(error, name, trace_id) from None

        return ActionAnswer(action=name, trace_id=trace_id, result=result)

    async def _act(
        self, name: str, call: Call, payload: Fields
    ) -> GrantAnswer | RevokeAnswer:
        if name in (AUTHORIZE, RESYNC):
            return await self._grant(name, call, payload, order_required=False)

        if name == REVOKE:
            return await self._revoke(call, payload)

        raise ApiError(
            403,
            "ACTION_NOT_ALLOWED",
            f"Action not allowed: {printable(name)[:_PRINTED_NAME]}",
        )

    async def _grant(
        self,
        name: str,
        call: Call,
        fields: Fields,
        *,
        order_required: bool = True,
    ) -> GrantAnswer:
        is_resync = name == RESYNC
        order = requests.authorize(
            fields,
            call.requested_at,
            call.trace_id,
            resync=is_resync,
            trial_minutes=self._service.settings.trial_minutes,
        )
        if order.order_id is None and (order_required or is_resync):
            raise invalid("pedidoId required")

        work = self._service.grant(order, call.arrived)

        return await counted(self._service, name, call, order.mik_id, work)

    async def _revoke(self, call: Call, fields: Fields) -> RevokeAnswer:
        revoke = requests.revoke(fields, call.requested_at, call.trace_id)
        work = self._service.revoke(revoke, call.arrived)
        return await counted(self._service, REVOKE, call, revoke.mik_id, work)


def _error_of_action(error: ApiError, name: str, trace_id: str) -> ApiError:
    """Return an error as `/relay/action` answers it: the old relay knew no 404 there."""
    if error.status == 403:
        return error.retold(403, status=403)

    status = 400 if error.status == 404 else error.status

    return error.retold(status, action=name[:_PRINTED_NAME], traceId=trace_id)

"""The endpoint about phones: one was seen."""

from __future__ import annotations

import uuid

from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.endpoints.base import read_call
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.rate_limit import Limiter
from cerebro.bridge.http.refusals import HELLO_REFUSALS
from cerebro.bridge.http.routes import Route
from cerebro.bridge.orders.answers import HelloAnswer
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests import devices as requests

_HELLO = {
    "deviceToken": "t-1",
    "mikId": "R1",
    "ip": "10.5.50.10",
    "mac": "AA:BB:CC:DD:EE:FF",
}


class DeviceEndpoints:
    """Hello."""

    def __init__(self, service: OrderService) -> None:
        self._service = service
        settings = service.settings
        self._limiter = Limiter(
            settings.calls_per_router, settings.rate_window_ms / 1000
        )

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(
                method="POST",
                path="/relay/device/hello",
                access=Access.SIGNED,
                handler=self.hello,
                summary="A portal saw this phone",
                answer=HelloAnswer,
                example=_HELLO,
                required=("mikId", "ip", "mac"),
                refusals=HELLO_REFUSALS,
            ),
        ]

    async def hello(self, request: Request) -> Answer:
        """Note where a phone is; 200 says that it is stored. A phone without
        a `deviceToken` gets a new one.

        An order for that token that waited for its phone is granted now.
        """
        call, fields = read_call(request)
        hello = requests.hello(
            fields, call.requested_at, call.trace_id, str(uuid.uuid4())
        )

        self._limiter.check((hello.mik_id or "").casefold(), call.arrived)

        return await self._service.hello(hello)

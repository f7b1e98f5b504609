"""The endpoints of callers that keep sessions of their own, each under a name."""

from __future__ import annotations

import uuid

from starlette.requests import Request

from cerebro.bridge.answers import Answer
from cerebro.bridge.endpoints.base import (
    counted,
    read_call,
)
from cerebro.bridge.http.answers import Call
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.rate_limit import Limiter
from cerebro.bridge.http.refusals import (
    ALL_KNOWN,
    GRANT_REFUSALS,
    HELLO_REFUSALS,
    KUBERNETES,
    REVOKE_REFUSALS,
    codes,
    merge,
)
from cerebro.bridge.http.routes import Route
from cerebro.bridge.intents import Hello
from cerebro.bridge.metrics import AUTHORIZE, REVOKE
from cerebro.bridge.orders.named_sessions import (
    ActiveSessionsAnswer,
    NamedSessions,
    SessionAnswer,
    StartedAnswer,
)
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests import sessions as requests

_PHONE = {"ip": "10.5.50.10", "mac": "AA:BB:CC:DD:EE:FF", "router": "R1"}
_INVALID = codes(s503="invalid_object")
_UNKNOWN = codes(s404="session_not_found")


class SessionEndpoints:
    """Start, authorize, revoke and look at sessions."""

    def __init__(self, service: OrderService) -> None:
        self._service = service
        self._sessions = NamedSessions(service)
        settings = service.settings
        self._limiter = Limiter(
            settings.calls_per_router, settings.rate_window_ms / 1000
        )

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [*self._changing_routes(), *self._reading_routes()]

    def _changing_routes(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path="/session/init",
                access=Access.SIGNED,
                handler=self.init,
                summary="Begin a session under the caller's name",
                answer=StartedAnswer,
                example={"sessionId": "s-1", **_PHONE},
                required=("sessionId", "ip", "mac", "router"),
                refusals=merge(HELLO_REFUSALS, codes(s409="session_exists")),
            ),
            Route(
                method="POST",
                path="/session/start",
                access=Access.SIGNED,
                handler=self.start,
                summary="Begin a session under a new name",
                answer=StartedAnswer,
                example=_PHONE,
                required=("ip",),
                refusals=HELLO_REFUSALS,
            ),
            Route(
                method="POST",
                path="/session/authorize",
                access=Access.SIGNED,
                handler=self.authorize,
                summary="Let a session's phone in for a time",
                answer=SessionAnswer,
                example={"sessionId": "s-1", "tempo": 3_600_000},
                required=("sessionId", "tempo"),
                refusals=merge(GRANT_REFUSALS, _UNKNOWN),
            ),
            Route(
                method="POST",
                path="/session/revoke",
                access=Access.SIGNED,
                handler=self.revoke,
                summary="End a session's access",
                answer=SessionAnswer,
                example={"sessionId": "s-1"},
                required=("sessionId",),
                refusals=merge(REVOKE_REFUSALS, _UNKNOWN),
            ),
        ]

    def _reading_routes(self) -> list[Route]:
        return [
            Route(
                method="GET",
                path="/session/active",
                access=Access.SIGNED,
                handler=self.active,
                summary="The sessions that have access, or wait for it",
                answer=ActiveSessionsAnswer,
                refusals=ALL_KNOWN,
            ),
            Route(
                method="GET",
                path="/session/{sessionId}",
                access=Access.SIGNED,
                handler=self.show,
                summary="How a session is",
                answer=SessionAnswer,
                refusals=merge(ALL_KNOWN, KUBERNETES, _INVALID, _UNKNOWN),
            ),
        ]

    async def init(self, request: Request) -> Answer:
        """Note where the phone of a session is; 200 says that it is stored.
        Access comes with `/session/authorize`.
        """
        call, fields = read_call(request)
        name = requests.session_id(fields)
        hello = requests.start(
            fields,
            call.requested_at,
            call.trace_id,
            name=name,
            complete=True,
        )

        return await self._start(name, hello, call)

    async def start(self, request: Request) -> Answer:
        """Note where a phone is, under a name that is made here; MAC and
        router may be left out where they are plain.
        """
        call, fields = read_call(request)
        name = str(uuid.uuid4())
        hello = requests.start(
            fields,
            call.requested_at,
            call.trace_id,
            name=name,
            complete=False,
        )

        return await self._start(name, hello, call)

    async def authorize(self, request: Request) -> Answer:
        """Let the session's phone in for `tempo` milliseconds, and answer when
        its entry is on the router. The same call again changes nothing.
        """
        call, fields = read_call(request)
        name = requests.session_id(fields)
        order = requests.authorize(
            fields, call.requested_at, call.trace_id, name=name
        )

        work = self._sessions.authorize(name, order, call.arrived)

        return await counted(self._service, AUTHORIZE, call, None, work)

    async def revoke(self, request: Request) -> Answer:
        """End the session's access, and answer when nothing on the router is
        due to it; what else its phone has, stays.
        """
        call, fields = read_call(request)
        name = requests.session_id(fields)
        revoke = requests.revoke(call.requested_at, call.trace_id, name=name)

        work = self._sessions.revoke(name, revoke, call.arrived)

        return await counted(self._service, REVOKE, call, None, work)

    async def active(self, _: Request) -> Answer:
        """Answer with the sessions of callers that have access or wait for it."""
        return self._sessions.active()

    async def show(self, request: Request) -> Answer:
        """Answer how a session is."""
        name = requests.session_id(request.path_params)
        return SessionAnswer(session=await self._sessions.get(name))

    async def _start(self, name: str, hello: Hello, call: Call) -> Answer:
        """Note a session, unless its router had too many calls (F7)."""
        self._limiter.check((hello.mik_id or "").casefold(), call.arrived)
        return await self._sessions.start(name, hello)

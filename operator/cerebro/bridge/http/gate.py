"""What every request passes before an endpoint sees it: token, rate, body
limit, signature, nonce.

The gate is an ASGI application in front of ours. It works on the bytes as they
were received: nothing is parsed before the signature was verified. It gives
every error its one shape, and counts every request.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cerebro.bridge.audit.log import AuditLog
from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import Call, render
from cerebro.bridge.http.auth import Access, Tokens
from cerebro.bridge.http.local import FORWARDED, comes_from_this_host
from cerebro.bridge.http.rate_limit import Callers, Limiter
from cerebro.bridge.http.refused_callers import RefusalAudit
from cerebro.bridge.http.routes import PathTable
from cerebro.bridge.http.signature import Policy, signed_request, verify
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.settings import MAX_BODY, BridgeSettings
from cerebro.bridge.store.base import NonceStore
from cerebro.runtime.clock import now_ms

_CALLS_PER_WINDOW = 60
"""Unsigned calls of a caller in a window, unless RELAY_RATE_LIMIT says
otherwise (F7).
"""
_COUNTED_METHODS = frozenset({"GET", "POST", "HEAD", "DELETE"})
_OTHER = "other"
"""The label in metrics and logs of what a caller made up."""
_TRACE_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
"""Version, trace, caller's span and flags; later versions may have more."""

log = structlog.get_logger(__name__)


class Gate:
    """An ASGI application around ours."""

    def __init__(
        self,
        app: ASGIApp,
        settings: BridgeSettings,
        store: NonceStore,
        metrics: Metrics,
        paths: Mapping[str, Access],
        *,
        audit: AuditLog | None = None,
    ) -> None:
        """Wrap an application.

        `paths` has every path of `app`, as in `Route`, and who may call it:
        any other path is 404. `store` remembers the nonces, `audit` is told of
        callers that are refused.
        """

        self._app = app
        self._store = store
        self._metrics = metrics
        self._refusals = RefusalAudit(audit or AuditLog(None))
        self._paths = PathTable(paths)
        self._tokens = Tokens(settings)
        self._policy = Policy(
            settings.secret,
            settings.ts_skew_ms,
            settings.window_b_ms,
            settings.allow_legacy_signatures,
        )

        self._unsigned = frozenset(settings.allow_unsigned)
        self._nonce_memory = settings.nonce_memory_ms
        self._request_valid_for = settings.request_valid_for_ms
        self._callers = Callers(settings.trusted_proxies)
        self._limiter = Limiter(
            settings.rate_limit or _CALLS_PER_WINDOW,
            settings.rate_window_ms / 1000,
        )

        self._strangers = Limiter(
            settings.refusal_limit, settings.rate_window_ms / 1000
        )

        self._body_timeout = settings.body_timeout
        self._opens_metrics = settings.opens_metrics

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let a request through to the application, or answer it; count it in
        either case.

        The answer has `x-request-id`; all that is logged meanwhile has it as
        `traceId`.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        arrival = _Arrival.of(scope)
        answer = _TracedAnswer(send, arrival.trace_id)
        structlog.contextvars.bind_contextvars(traceId=arrival.trace_id)
        try:
            await self._handle(scope, receive, arrival, answer)
        finally:
            self._count(scope["method"], arrival, answer.status)

    async def _handle(
        self,
        scope: Scope,
        receive: Receive,
        arrival: _Arrival,
        answer: _TracedAnswer,
    ) -> None:
        try:
            call = await self._admitted(scope, receive, arrival)
            scope.setdefault("state", {})["call"] = call
            await self._app(scope, _nothing_more, answer.send)
        except ApiError as error:
            await render(error)(scope, receive, answer.send)
        except _GoneError:
            return
        except Exception:
            log.exception(
                "a request failed",
                path=self._route(arrival.path),
                traceId=arrival.trace_id,
            )

            if not answer.begun:
                failure = ApiError(500, "internal_error", "internal error")
                await render(failure)(scope, receive, answer.send)

    async def _admitted(
        self, scope: Scope, receive: Receive, arrival: _Arrival
    ) -> Call:
        """Check a request, and tell the audit log if its caller is refused.

        Raises ApiError.
        """
        try:
            return await self._admit(scope, receive, arrival)
        except ApiError as error:
            self._refusals.tell(
                error,
                caller=self._caller(scope, arrival.headers),
                method=scope["method"],
                path=self._route(arrival.path),
                trace_id=arrival.trace_id,
                now=arrival.monotonic,
            )
            raise

    async def _admit(
        self, scope: Scope, receive: Receive, arrival: _Arrival
    ) -> Call:
        """Check a request; return it with its body.

        Raises ApiError for what is refused.
        """

        found = self._paths.find(arrival.path)
        path, access = found or (arrival.path, None)

        # The token; a path that does not exist needs one too, so that nobody
        # can find out which do.
        required = access or Access.TOKEN
        self._check_token(scope, required, arrival)

        # How often this caller may call. Signed calls are limited by router,
        # where the router is known.
        if required is not Access.OPEN and not required.needs_signature:
            self._limiter.check(
                self._caller(scope, arrival.headers), arrival.monotonic
            )

        # The path. The router behind reads paths less strictly:
        # `/relay/revoke%0A` is a path to it.
        if access is None:
            raise ApiError(404, "not_found", "no such path")

        # The body, and the signature over its bytes.
        body = await _read(receive, arrival.headers, self._body_timeout)
        requested_at = datetime.now(UTC)
        if access.needs_signature and not self._may_be_unsigned(path):
            requested_at = (
                await self._verify(scope, body, arrival.headers)
                or requested_at
            )

        return Call(
            body,
            arrival.monotonic,
            requested_at,
            arrival.trace_id,
            internal=self._tokens.is_internal(arrival.headers),
        )

    def _check_token(
        self, scope: Scope, required: Access, arrival: _Arrival
    ) -> None:
        """Let a caller with a good token through, however often others called
        from its address.

        Raises ApiError 401, 403 for an internal endpoint, and 429 for a caller
        that was refused too often.
        """
        try:
            if required is Access.INTERNAL:
                address = self._reliable_address(scope, arrival.headers)
                self._tokens.check_internal(arrival.headers, address)
            elif not self._is_local_scrape(scope, required, arrival.headers):
                self._tokens.check(required, arrival.headers)
        except ApiError:
            forwarded = arrival.headers.get("x-forwarded-for", "")
            stranger = self._callers.network(_peer_of(scope), forwarded)
            self._strangers.check(stranger, arrival.monotonic)
            raise

    async def _verify(
        self, scope: Scope, body: bytes, headers: Mapping[str, str]
    ) -> datetime | None:
        """Verify a signature and use its nonce; return the signed time, None
        if the form has none.

        Raises ApiError 401. A wrongly signed request uses no nonce.
        """

        target: bytes = scope["raw_path"]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]

        request = signed_request(scope["method"], target, body, headers)
        verified = verify(request, self._policy, now_ms())

        if verified.nonce is not None:
            is_new = await self._store.use_nonce(
                verified.nonce,
                now_ms(),
                self._nonce_memory,
                self._request_valid_for,
            )
            if not is_new:
                raise ApiError(
                    401,
                    "HMAC_REPLAY",
                    "x-relay-nonce was used before: sign each request anew",
                )

        if verified.ts_ms is None:
            return None

        if verified.ts_ms < self._store.nonces_since:
            raise ApiError(
                503,
                "store_unavailable",
                "the store was started anew after this request was signed: sign it anew",
                retry_after=1,
            )

        return datetime.fromtimestamp(verified.ts_ms / 1000, UTC)

    def _may_be_unsigned(self, path: str) -> bool:
        return "all" in self._unsigned or path in self._unsigned

    def _is_local_scrape(
        self, scope: Scope, required: Access, headers: Mapping[str, str]
    ) -> bool:
        """Return whether a program on this host reads the metrics, and needs
        no token for that.
        """
        if not self._opens_metrics or required is not Access.LOCAL_METRICS:
            return False

        peer = _peer_of(scope)
        is_direct = not self._callers.trusts(peer)

        return is_direct and comes_from_this_host(
            peer, scope["http_version"], headers
        )

    def _caller(self, scope: Scope, headers: Mapping[str, str]) -> str:
        forwarded = headers.get("x-forwarded-for", "")
        return self._callers.address(_peer_of(scope), forwarded)

    def _reliable_address(
        self, scope: Scope, headers: Mapping[str, str]
    ) -> str | None:
        """Return the caller's address, None for a forwarded request of a proxy
        that is not trusted (F7).
        """
        peer = _peer_of(scope)
        is_forwarded = any(name in headers for name in FORWARDED)
        if is_forwarded and not self._callers.trusts(peer):
            return None

        return self._caller(scope, headers)

    def _count(self, method: str, arrival: _Arrival, status: int) -> None:
        route = self._route(arrival.path)
        label = method if method in _COUNTED_METHODS else _OTHER
        seconds = time.monotonic() - arrival.monotonic
        self._metrics.request(label, route, status, seconds)

    def _route(self, path: str) -> str:
        found = self._paths.find(path)
        return found[0] if found else _OTHER


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What is known of a request when it arrives."""

    path: str

    headers: Mapping[str, str]
    """By lower-case name; of a header that was sent several times the last
    one.
    """

    trace_id: str

    monotonic: float
    """When it arrived, in seconds of the monotonic clock."""

    @classmethod
    def of(cls, scope: Scope) -> _Arrival:
        """Return the path and headers of a request.

        Its trace is the caller's `x-request-id` if that is printable ASCII
        without blanks; else the trace of its `traceparent`, as W3C Trace
        Context has it; else a new one.
        """

        arrived = time.monotonic()
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
        }

        trace_id = _given_trace_id(headers) or _new_trace_id()

        return cls(scope["path"], headers, trace_id, arrived)


def _given_trace_id(headers: Mapping[str, str]) -> str | None:
    """Return the trace that a caller names; None if none that can be used."""
    given = headers.get("x-request-id", "")
    if _TRACE_ID.fullmatch(given):
        return given

    parent = _TRACEPARENT.fullmatch(headers.get("traceparent", "").strip())
    if parent is None or not parent["trace"].strip("0"):
        return None

    return parent["trace"]


def _new_trace_id() -> str:
    """Return 32 hexadecimal digits. They are no secret, so they need no call
    of the kernel.
    """
    return f"{random.getrandbits(128):032x}"


class _TracedAnswer:
    """Sends an answer with its `x-request-id`, and remembers whether it began
    and with which status.
    """

    def __init__(self, send: Send, trace_id: str) -> None:
        self._send = send
        self._trace_id = trace_id
        self.status = 500
        self.begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.begun = True
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", self._trace_id.encode()),
            ]

        await self._send(message)


class _GoneError(Exception):
    """The caller hung up."""


def _peer_of(scope: Scope) -> str:
    """Return the address of the connection, an empty text if it has none."""
    return scope["client"][0] if scope.get("client") else ""


async def _read(
    receive: Receive, headers: Mapping[str, str], seconds: float
) -> bytes:
    """Read the body: at most MAX_BODY bytes within that many seconds.

    Raises ApiError 408 or 413, _GoneError.
    """
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY:
        raise _too_large()

    try:
        async with asyncio.timeout(seconds):
            return await _read_chunks(receive)
    except TimeoutError:
        raise ApiError(
            408, "request_timeout", "the body did not come in time"
        ) from None


async def _read_chunks(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError

        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            raise _too_large()

        chunks.append(chunk)

        if not message.get("more_body"):
            return b"".join(chunks)


async def _nothing_more() -> Message:
    """Stand in for `receive` behind the gate.

    The body is in the Call, and no endpoint waits for the caller to hang up.
    """
    return {"type": "http.request", "body": b"", "more_body": False}


def _too_large() -> ApiError:
    return ApiError(
        413,
        "payload_too_large",
        f"the body must have at most {MAX_BODY} bytes",
    )

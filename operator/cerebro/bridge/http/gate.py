"""What every request passes before a handler sees it: token, body limit, signature, nonce; and the one
shape of errors.

It works on the bytes as they were received: nothing is parsed before the signature was found good.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cerebro.bridge.errors import ApiError
from cerebro.bridge.http.answers import Call, render
from cerebro.bridge.http.auth import Access, Tokens
from cerebro.bridge.http.rate_limit import Callers, Limiter
from cerebro.bridge.http.signature import Policy, signed_request, verify
from cerebro.bridge.metrics import Metrics
from cerebro.bridge.settings import MAX_BODY, BridgeSettings
from cerebro.bridge.store.base import NonceStore
from cerebro.runtime.clock import now_ms

BODY_TIMEOUT = 5.0
_PLAIN = re.compile(r"[\x21-\x7e]{1,128}")

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
    ) -> None:
        self._app = app
        self._store = store
        self._metrics = metrics
        self._paths = paths
        self._tokens = Tokens(settings)
        self._policy = Policy(
            settings.secret, settings.ts_skew_ms, settings.window_b_ms, settings.allow_legacy_signatures
        )
        self._unsigned = frozenset(settings.allow_unsigned)
        self._nonce_memory = settings.nonce_memory_ms
        self._callers = Callers(settings.trusted_proxies)
        self._limiter = Limiter(settings.rate_limit or 60, settings.rate_window_ms / 1000)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        arrived = time.monotonic()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        trace_id = given if _PLAIN.fullmatch(given) else uuid.uuid4().hex
        path: str = scope["path"]
        status, begun = 500, False

        async def answering(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message["headers"], (b"x-request-id", trace_id.encode())]
            await send(message)

        try:
            call = await self._admit(scope, receive, headers, arrived, trace_id)
            scope.setdefault("state", {})["call"] = call
            await self._app(scope, _nothing_more, answering)
        except ApiError as error:
            await render(error)(scope, receive, answering)
        except _GoneError:
            return
        except Exception:
            log.exception(
                "a request failed", path=path if path in self._paths else "other", trace_id=trace_id
            )
            if not begun:
                await render(ApiError(500, "internal_error", "internal error"))(scope, receive, answering)
        finally:
            route = path if path in self._paths else "other"
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "DELETE") else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.request_seconds.labels(method, route).observe(time.monotonic() - arrived)

    async def _admit(
        self, scope: Scope, receive: Receive, headers: Mapping[str, str], arrived: float, trace_id: str
    ) -> Call:
        path: str = scope["path"]
        known = self._paths.get(path)
        access = known or Access.TOKEN
        self._tokens.check(access, headers)
        if access not in (Access.OPEN, Access.SIGNED):
            peer = scope["client"][0] if scope.get("client") else ""
            self._limiter.check(self._callers.address(peer, headers.get("x-forwarded-for", "")), arrived)
        if known is None:
            # Said here: the router behind reads paths less strictly, so that `/relay/revoke%0A` is one to it.
            raise ApiError(404, "not_found", "no such path")
        body = await _read(receive, headers)
        requested_at = datetime.now(UTC)
        if access is Access.SIGNED and not self._unsigned & {"all", path}:
            target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
            signed = verify(signed_request(scope["method"], target, body, headers), self._policy, now_ms())
            if signed.ts_ms is not None:
                requested_at = datetime.fromtimestamp(signed.ts_ms / 1000, UTC)
            if signed.nonce is not None:
                await self._use(signed.nonce)
        return Call(body, arrived, requested_at, trace_id)

    async def _use(self, nonce: str) -> None:
        fresh = await self._store.use_nonce(nonce, now_ms(), self._nonce_memory)
        if not fresh:
            raise ApiError(401, "HMAC_REPLAY", "x-relay-nonce was used before: sign each request anew")


class _GoneError(Exception):
    """The caller hung up."""


async def _read(receive: Receive, headers: Mapping[str, str]) -> bytes:
    """Read the body, at most 64 KiB of it and for at most five seconds."""
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
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
    except TimeoutError:
        raise ApiError(408, "request_timeout", "the body did not come in time") from None


async def _nothing_more() -> Message:
    """Stand in for `receive` behind the gate: the body is in the Call, and nobody waits for the caller to
    hang up."""
    return {"type": "http.request", "body": b"", "more_body": False}


def _too_large() -> ApiError:
    return ApiError(413, "payload_too_large", f"the body must have at most {MAX_BODY} bytes")

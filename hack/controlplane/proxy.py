"""A proxy before kube-apiserver that breaks things when told to, and otherwise
streams everything through.

Tests put it between a process and the API server: refused or delayed answers,
cut watches, no connection at all. It keeps a bounded record of what passed.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from controlplane.processes import free_port

REMEMBERED = 10_000
CONNECT_TIMEOUT = 10.0
MAX_BODY = 16 << 20
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
    }
)
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True)
class Request:
    """One request as far as faults look at it. `resource` is the plural,
    `name` is empty for a collection.
    """

    method: str
    path: str
    query: dict[str, str]
    resource: str
    name: str
    subresource: str

    @property
    def watch(self) -> bool:
        """Whether this opens a watch."""
        return self.query.get("watch") in {"true", "1"}

    @property
    def list(self) -> bool:
        """Whether this lists a collection."""
        return (
            self.method == "GET"
            and bool(self.resource)
            and not self.name
            and not self.watch
        )

    @property
    def write(self) -> bool:
        """Whether this changes something."""
        return self.method not in {"GET", "HEAD", "OPTIONS"}


Match = Callable[[Request], bool]


def everything(_: Request) -> bool:
    """Match any request."""
    return True


@dataclass(eq=False)
class Fault:
    """Something that is done to matching requests until it ends, by count, by
    time or by `end()`.
    """

    matching: Match
    status: int | None = None
    delay: float = 0.0
    remaining: int | None = None
    until: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hits: int = 0

    def end(self) -> None:
        """Let requests pass again."""
        self.remaining = 0

    def takes(self, request: Request) -> bool:
        """Whether it applies to this request; counts it if so."""
        spent = self.remaining is not None and self.remaining <= 0
        late = self.until is not None and time.monotonic() > self.until
        if spent or late or not self.matching(request):
            return False
        if self.remaining is not None:
            self.remaining -= 1
        self.hits += 1
        return True


class FaultProxy:
    """An async context manager; `url` is where clients connect.

    With `certificate` (certificate and key file) it speaks TLS to them, else
    plain HTTP. `upstream_ca` is the file with the authority of an upstream
    with https.
    """

    def __init__(
        self,
        upstream: str,
        *,
        upstream_ca: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.upstream = upstream.rstrip("/")
        self.port = free_port()
        self.url = (
            f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        )
        self.requests: deque[Request] = deque(maxlen=REMEMBERED)
        self.date_shift = 0.0
        """Seconds by which the `Date` of answers is put forward: to clients,
        the API server's clock.
        """
        self._faults: list[Fault] = []
        self._watches: set[asyncio.Transport] = set()
        self._upstream_tls = (
            ssl.create_default_context(cafile=str(upstream_ca))
            if upstream_ca
            else None
        )
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*map(str, certificate))
        self._runner: web.AppRunner | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT
        )
        connector = aiohttp.TCPConnector(
            limit=0, ssl=self._upstream_tls or True
        )
        self._session = aiohttp.ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False
        )
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()
        assert self._session is not None
        await self._session.close()

    def answer(
        self,
        status: int,
        *,
        matching: Match = everything,
        times: int | None = None,
        seconds: float | None = None,
        retry_after: int | None = None,
    ) -> Fault:
        """Answer matching requests with `status` and a Status body; the
        upstream never sees them.
        """
        headers = (
            {} if retry_after is None else {"Retry-After": str(retry_after)}
        )
        return self._add(
            Fault(matching, status, 0.0, times, _deadline(seconds), headers)
        )

    def delay(
        self,
        by: float,
        *,
        matching: Match = everything,
        times: int | None = None,
        seconds: float | None = None,
    ) -> Fault:
        """Hold matching requests back for `by` seconds before they go
        upstream.
        """
        return self._add(Fault(matching, None, by, times, _deadline(seconds)))

    def clear(self) -> None:
        """End all faults. After `refuse`, `accept` is needed as well."""
        self._faults.clear()

    def cut_watches(self) -> int:
        """Break the connections of all open watches, mid-stream; returns how
        many.
        """
        transports = list(self._watches)
        for transport in transports:
            transport.abort()
        return len(transports)

    async def refuse(self) -> None:
        """Close all connections and take no more, as when nobody listens;
        harmless when it is so already.
        """
        if self._runner is not None:
            self.cut_watches()
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def accept(self) -> None:
        """Take connections again, on the same port."""
        if self._runner is None:
            app = web.Application(client_max_size=MAX_BODY)
            app.router.add_route("*", "/{path:.*}", self._handle)
            self._runner = web.AppRunner(
                app,
                handler_cancellation=True,
                access_log=None,
                shutdown_timeout=0.1,
            )
            await self._runner.setup()
            await web.TCPSite(
                self._runner, "127.0.0.1", self.port, ssl_context=self._tls
            ).start()

    def _add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = parse(request.method, request.path, dict(request.query))
        self.requests.append(asked)
        for fault in [fault for fault in self._faults if fault.takes(asked)]:
            if fault.delay:
                await asyncio.sleep(fault.delay)
            if fault.status is not None:
                return _status(fault.status, fault.headers)
        async with self._watched(request, asked):
            return await self._forward(request)

    @asynccontextmanager
    async def _watched(
        self, request: web.Request, asked: Request
    ) -> AsyncIterator[None]:
        transport = request.transport if asked.watch else None
        if transport is not None:
            self._watches.add(transport)
        try:
            yield
        finally:
            if transport is not None:
                self._watches.discard(transport)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in HOP_BY_HOP
        }
        url = URL(self.upstream + request.raw_path, encoded=True)
        body = await request.read()
        response: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method,
                url,
                headers=headers,
                data=body or None,
                allow_redirects=False,
            ) as answer:
                response = web.StreamResponse(status=answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP_BY_HOP:
                        response.headers.add(
                            name,
                            _add_seconds(value, self.date_shift)
                            if name.lower() == "date"
                            else value,
                        )
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
        except (aiohttp.ClientError, OSError):
            # The upstream is gone, or our client is. Neither gets a
            # well-formed end that nobody sent.
            if request.transport is not None:
                request.transport.abort()
            return response or web.Response(status=502)
        await response.write_eof()
        return response


def _add_seconds(date: str, seconds: float) -> str:
    return format_datetime(
        parsedate_to_datetime(date) + timedelta(seconds=seconds), usegmt=True
    )


def parse(method: str, path: str, query: dict[str, str]) -> Request:
    """Split an API path into its parts:
    `/apis/G/V/namespaces/NS/RESOURCE/NAME/SUB` and its shorter forms.
    """
    parts = path.strip("/").split("/")
    rest = (
        parts[3:]
        if parts[0] == "apis"
        else parts[2:]
        if parts[0] == "api"
        else []
    )
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    resource, name, subresource = (*rest, "", "", "")[:3]
    return Request(method, path, query, resource, name, subresource)


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def _status(code: int, headers: dict[str, str]) -> web.Response:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"the fault proxy answers {code}",
        "reason": REASONS.get(code, "Unknown"),
        "code": code,
    }
    return web.json_response(body, status=code, headers=headers)

"""One HTTP request to the API server: connection pool, identity, deadline, clock, and errors in one place.

It knows paths and JSON, no kinds. Built on the pool of the kubernetes package's async client (its `rest`
layer): the generated classes above it are made for typed built-in resources and cost more than the request
itself.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import aiohttp
from kubernetes.aio.client import Configuration, rest

from cerebro.kube.client.connection import ConfigError, Connection
from cerebro.kube.client.errors import Unavailable, translate
from cerebro.runtime import metrics

APPLY_PATCH = "application/apply-patch+yaml; charset=utf-8"
"""Content type of server-side apply. With its charset, for only then the package below sends a body as it is."""

_TOKEN_AGE = 60.0
"""Seconds after which the token file is read again, as client-go does."""
_POOL = 100


class Transport:
    """A pool of connections to one API server. Use it as an async context manager."""

    def __init__(self, connection: Connection, *, timeout: float = 10.0) -> None:
        self.connection = connection
        self.timeout = timeout
        self.clock_skew: float | None = None
        """Seconds that our clock is ahead of the API server's; None before its first answer. Exact to half a
        second.
        """
        self.last_contact: float | None = None
        """Monotonic time of the last answer that shows the API server at work for us (no 401, 429, 5xx)."""
        self._forbidden: dict[str, float] = {}
        self._headers: dict[str, str] = {}
        self._headers_read = -_TOKEN_AGE
        self._pool: rest.RESTClientObject | None = None

    async def __aenter__(self) -> Self:
        configuration = Configuration()
        configuration.connection_pool_maxsize = _POOL
        configuration.tls_server_name = self.connection.tls_server_name
        configuration.client_session_kwargs = {
            "trust_env": urlsplit(self.connection.server).hostname not in _LOCAL
        }
        self._pool = rest.RESTClientObject(configuration)
        self._pool.ssl_context = self.connection.ssl_context()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    def forbidden_since(self) -> float | None:
        """Give the monotonic time since when some call of ours is answered 403 without a success; None: none
        is.
        """
        return min(self._forbidden.values(), default=None)

    async def request(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: dict[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        named: bool = False,
        secret: bool = False,
    ) -> Any:
        """Send one request and give the decoded JSON answer.

        `what` names it in errors; `secret` keeps the server's words out of them. A 401 reads the token anew
        and tries once more when it changed. Raises KubeError and nothing else.
        """
        url = self.connection.server + path + (f"?{urlencode(query)}" if query else "")
        if content_type == APPLY_PATCH:
            body = as_yaml(body)
        headers = {"Accept": accept, "Content-Type": content_type, "User-Agent": "cerebro"}
        try:
            async with asyncio.timeout(self.timeout):
                status, data, retry_after = await self._send(method, url, headers, body)
                if status == 401 and self._token_changed():
                    status, data, retry_after = await self._send(method, url, headers, body)
        except TimeoutError:
            metrics.REST_REQUESTS.labels("<error>", method).inc()
            raise Unavailable(f"{what}: no answer within {self.timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ConfigError) as error:
            metrics.REST_REQUESTS.labels("<error>", method).inc()
            raise Unavailable(f"{what}: {type(error).__name__}: {error}") from None
        self._note_permission(what.partition(" ")[0] + path, status)
        if status >= 300:
            raise translate(status, data, what, named=named, secret=secret, retry_after=retry_after) from None
        return _decode(data, what)

    async def _send(
        self, method: str, url: str, headers: dict[str, str], body: object
    ) -> tuple[int, bytes, str | None]:
        assert self._pool is not None, "use KubeApi within `async with`"
        sent = time.time()
        begun = time.monotonic()
        answer = await self._pool.request(  # type: ignore[no-untyped-call]
            method,
            url,
            headers={**headers, **self._authorization()},
            body=body,
            _request_timeout=aiohttp.ClientTimeout(total=None),
        )
        self._note_clock(answer.headers.get("Date"), sent, time.time())
        data = await answer.read()
        if answer.status not in (401, 429) and answer.status < 500:
            self.last_contact = time.monotonic()
        metrics.REST_REQUESTS.labels(str(answer.status), method).inc()
        metrics.REST_DURATION.labels(method).observe(time.monotonic() - begun)
        return answer.status, data, answer.headers.get("Retry-After")

    def _authorization(self) -> dict[str, str]:
        if time.monotonic() - self._headers_read >= _TOKEN_AGE:
            self._token_changed()
        return self._headers

    def _token_changed(self) -> bool:
        before, self._headers = self._headers, self.connection.headers()
        self._headers_read = time.monotonic()
        return before != self._headers

    def _note_clock(self, date: str | None, sent: float, received: float) -> None:
        """The header is cut to whole seconds, so the server's time lies half a second later on average."""
        if not date:
            return
        try:
            server = parsedate_to_datetime(date).timestamp() + 0.5
        except ValueError:
            return
        self.clock_skew = (sent + received) / 2 - server
        metrics.CLOCK_SKEW.set(self.clock_skew)

    def _note_permission(self, call: str, status: int) -> None:
        """Remember since when a call is forbidden; the number of different calls is bounded by dropping the
        oldest.
        """
        if status != 403:
            self._forbidden.pop(call, None)
            return
        self._forbidden.setdefault(call, time.monotonic())
        if len(self._forbidden) > _POOL:
            del self._forbidden[next(iter(self._forbidden))]


def as_yaml(body: object) -> bytes:
    """Write JSON that is YAML too, as which the server reads the bodies of an apply.

    YAML knows no surrogate pairs, so what JSON escapes as one stands as itself; control characters and line
    separators may only stand escaped. Half a pair, which no UTF-8 has, becomes U+FFFD as in other calls.
    """
    text = json.dumps(body, ensure_ascii=False)
    return re.sub("[\x7f-\uffff]", _escaped, text).encode("utf-8")


def _escaped(character: re.Match[str]) -> str:
    code = ord(character[0])
    return "\\ufffd" if 0xD800 <= code <= 0xDFFF else f"\\u{code:04x}"


_LOCAL = {"127.0.0.1", "localhost", "::1"}


def _decode(data: bytes, what: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise Unavailable(
            f"{what}: the answer is not JSON (something between us and the API server?)"
        ) from None

"""One HTTP request to the API server: connection pool, identity, deadline,
clock and errors.

It knows paths and JSON, no kinds. Built on the pool of the kubernetes
package's async client (its `rest` layer): the generated classes above it are
made for typed built-in resources and cost more than the request itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

import aiohttp
from kubernetes.aio.client import Configuration, rest

from cerebro.kube.client.connection import ConfigError, Connection
from cerebro.kube.client.errors import Unavailable, translate
from cerebro.runtime import metrics
from cerebro.runtime.clock import monotonic, unix_seconds
from cerebro.runtime.times import Monotonic, UnixSeconds

log = logging.getLogger(__name__)

APPLY_PATCH = "application/apply-patch+yaml; charset=utf-8"
"""Content type of server-side apply. With its charset, for only then the
package below sends a body as it is.
"""

_FILES_AGE = 60.0
"""Seconds after which the files of token and CA are read again, as client-go
does with the token.
"""
_POOL = 100
"""Connections in the pool, and different calls whose permission is remembered.
"""
_NOT_CONNECTED = (aiohttp.ClientConnectorError, ConfigError)
"""Errors from before there was a connection, and so a request."""
_LOCAL = {"127.0.0.1", "localhost", "::1"}
"""Hosts that are never reached by the proxy of the environment."""


class _Answer(NamedTuple):
    """What came back, whatever its status."""

    status: int
    body: bytes
    retry_after: str | None


class Transport:
    """A pool of connections to one API server. Use it as an async context
    manager.
    """

    def __init__(
        self, connection: Connection, *, timeout: float = 10.0
    ) -> None:
        """`timeout` bounds each request, in seconds."""
        self.connection = connection
        self.timeout = timeout
        self.clock_skew: float | None = None
        """Seconds that our clock is ahead of the API server's; None before its
        first answer. Exact to half a second.
        """

        self.last_contact: Monotonic | None = None
        """Time of the last answer that shows the API server at work for us (no
        401, 429, 5xx).
        """

        self._forbidden: dict[str, Monotonic] = {}
        """Since when a call is answered 403, by method and path; the oldest
        first.
        """

        self._headers: dict[str, str] = {}
        self._files_read = Monotonic(-_FILES_AGE)
        self._ca: bytes | None = None
        self._pool: rest.RESTClientObject | None = None
        self._retired: dict[asyncio.Task[None], rest.RESTClientObject] = {}
        """Pools with an older CA, by the task that closes them."""

    async def __aenter__(self) -> Self:
        self._ca = self.connection.ca_text()
        self._pool = self._new_pool()

        return self

    async def __aexit__(self, *_: object) -> None:
        pools = [*self._retired.values()]
        for task in self._retired:
            task.cancel()

        if self._pool is not None:
            pools.append(self._pool)
            self._pool = None

        for pool in pools:
            await pool.close()

    def _new_pool(self) -> rest.RESTClientObject:
        """Return a pool that trusts the CA as it is now. Raises ConfigError."""
        is_local = urlsplit(self.connection.server).hostname in _LOCAL
        configuration = Configuration()
        configuration.connection_pool_maxsize = _POOL
        configuration.tls_server_name = self.connection.tls_server_name
        configuration.client_session_kwargs = {"trust_env": not is_local}
        pool = rest.RESTClientObject(configuration)
        pool.ssl_context = self.connection.ssl_context()

        return pool

    def forbidden_since(self) -> Monotonic | None:
        """Return since when a call of ours is answered 403 and did not succeed
        once; None if none is.
        """
        return min(self._forbidden.values(), default=None)

    async def request(
        self,
        method: str,
        path: str,
        *,
        call: str,
        query: dict[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        named: bool = False,
        secret: bool = False,
    ) -> Any:
        """Send one request and return the decoded JSON of the answer.

        `call` names the request in errors, its method first; `named`: the path
        names one object; `secret` keeps the server's words out of errors.
        After a 401 the token is read anew, after a certificate that we do not
        trust the CA; the request is sent once more if that changed. Raises
        KubeError and nothing else.
        """

        url = self.connection.server + path
        if query:
            url = f"{url}?{urlencode(query)}"

        if content_type == APPLY_PATCH:
            body = as_yaml(body)

        headers = {
            "Accept": accept,
            "Content-Type": content_type,
            "User-Agent": "cerebro",
        }

        try:
            async with asyncio.timeout(self.timeout):
                answer = await self._send_trusted(method, url, headers, body)
                if answer.status == 401 and self._token_changed():
                    answer = await self._send(method, url, headers, body)
        except TimeoutError:
            metrics.REST_REQUESTS.labels("<error>", method).inc()
            raise Unavailable(
                f"{call}: no answer within {self.timeout:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ConfigError) as error:
            metrics.REST_REQUESTS.labels("<error>", method).inc()
            never_sent = isinstance(error, _NOT_CONNECTED)
            raise Unavailable(
                f"{call}: {type(error).__name__}: {error}",
                sent=not never_sent,
            ) from None

        self._note_permission(call.partition(" ")[0] + path, answer.status)

        if answer.status >= 300:
            raise translate(
                answer.status,
                answer.body,
                call,
                named=named,
                secret=secret,
                retry_after=answer.retry_after,
            ) from None

        return _decode(answer.body, call)

    async def _send_trusted(
        self, method: str, url: str, headers: dict[str, str], body: object
    ) -> _Answer:
        """Send a request; once more if the server's certificate is signed by a
        CA that its file has only now. An untrusted server got nothing of it.
        """
        self._refresh_files()
        pool = self._pool

        try:
            return await self._send(method, url, headers, body)
        except aiohttp.ClientConnectorCertificateError:
            # A request beside this one may have read the CA already.
            if not self._ca_changed() and self._pool is pool:
                raise

        return await self._send(method, url, headers, body)

    async def _send(
        self, method: str, url: str, headers: dict[str, str], body: object
    ) -> _Answer:
        """Send a request once, and note what its answer shows of the clock and
        of the server's state.
        """

        assert self._pool is not None, "use KubeApi within `async with`"
        sent = unix_seconds()
        begun = monotonic()
        answer = await self._pool.request(  # type: ignore[no-untyped-call]
            method,
            url,
            headers={**headers, **self._headers},
            body=body,
            _request_timeout=aiohttp.ClientTimeout(total=None),
        )

        self._note_clock(answer.headers.get("Date"), sent, unix_seconds())
        data = await answer.read()

        if answer.status not in (401, 429) and answer.status < 500:
            self.last_contact = monotonic()

        metrics.REST_REQUESTS.labels(str(answer.status), method).inc()
        metrics.REST_DURATION.labels(method).observe(monotonic() - begun)

        return _Answer(answer.status, data, answer.headers.get("Retry-After"))

    def _refresh_files(self) -> None:
        """Read token and CA anew if they were read a minute ago. Raises
        ConfigError.
        """
        if monotonic() - self._files_read >= _FILES_AGE:
            self._files_read = monotonic()
            self._ca_changed()
            self._token_changed()

    def _token_changed(self) -> bool:
        """Read the token anew; return whether it is another one. Raises
        ConfigError.
        """
        before = self._headers
        self._headers = self.connection.headers()

        return before != self._headers

    def _ca_changed(self) -> bool:
        """Read the CA anew; return whether it is another one, which new
        connections trust from now on.

        A file that cannot be used now changes nothing: it may be half written.
        """

        try:
            authorities = self.connection.ca_text()

            if authorities == self._ca:
                return False

            # Connections that stand keep what they trusted when they began.
            pool = self._new_pool()
        except ConfigError as error:
            log.warning("the CA that was read before stays: %s", error)
            return False

        if self._pool is not None:
            self._retire(self._pool)

        self._pool, self._ca = pool, authorities
        log.info("the CA of %s changed", self.connection.server)

        return True

    def _retire(self, pool: rest.RESTClientObject) -> None:
        """Close a pool when the requests that run over it have ended, which
        takes no longer than our deadline.
        """

        async def close_later() -> None:
            await asyncio.sleep(self.timeout)
            await pool.close()

        task = asyncio.create_task(close_later(), name="close old pool")
        self._retired[task] = pool
        task.add_done_callback(lambda task: self._retired.pop(task, None))

    def _note_clock(
        self, date: str | None, sent: UnixSeconds, received: UnixSeconds
    ) -> None:
        """Compare our clock with the Date of an answer.

        The header is cut to whole seconds, so the server's time lies half a
        second later on average.
        """

        if not date:
            return

        try:
            server = parsedate_to_datetime(date).timestamp() + 0.5
        except ValueError:
            return

        between = (sent + received) / 2
        self.clock_skew = between - server
        metrics.CLOCK_SKEW.set(self.clock_skew)

    def _note_permission(self, call: str, status: int) -> None:
        """Remember since when a call is forbidden. Of many different calls the
        oldest is forgotten.
        """
        if status != 403:
            self._forbidden.pop(call, None)
            return

        self._forbidden.setdefault(call, monotonic())

        if len(self._forbidden) > _POOL:
            oldest = next(iter(self._forbidden))
            del self._forbidden[oldest]


def as_yaml(body: object) -> bytes:
    """Return JSON that is YAML too, as which the server reads the bodies of an
    apply.

    YAML knows no surrogate pairs, so what JSON escapes as a pair stands as
    itself; control characters and line separators may only stand escaped. Half
    a pair, which no UTF-8 has, becomes U+FFFD as in other calls.
    """
    text = json.dumps(body, ensure_ascii=False)

    return re.sub("[\x7f-\uffff]", _escaped, text).encode("utf-8")


def _escaped(character: re.Match[str]) -> str:
    code = ord(character[0])
    is_half_a_pair = 0xD800 <= code <= 0xDFFF

    return "\\ufffd" if is_half_a_pair else f"\\u{code:04x}"


def _decode(data: bytes, call: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise Unavailable(
            f"{call}: the answer is not JSON (something between us and the API server?)"
        ) from None

"""Speaks HTTP with the backend: fetches the feed, and sends ACKs.

Connections are HTTP/1.1 and kept alive. Each step has a time limit, and so has
the whole; no answer is larger than MAX_FEED.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from cerebro.bridge.backend.signature import (
    THEIRS,
    ack_headers,
    is_genuine,
    poll_headers,
)
from cerebro.runtime.clock import now_ms

MAX_FEED = 16 * 1024 * 1024
"""Bytes of a feed; a larger one is not read to its end."""
MAX_SIDE_BY_SIDE = 8
"""Connections to the backend for ACKs; a further one is for the feed."""
_STEPS = httpx.Timeout(5.0, connect=3.0)
"""Seconds without a byte."""
_WHOLE_POLL = 15.0
"""Seconds for a whole feed, however steadily it trickles."""
_WHOLE_ACK = 10.0
"""Seconds for an ACK and its answer."""
_LARGE = 64 * 1024
"""Bytes of JSON that are read in a thread: less holds the event loop for a
millisecond at most.
"""


class FeedError(Exception):
    """The feed could not be had. The text says why.

    `counter` is the name of the old relay's counter of it.
    """

    def __init__(self, counter: str, text: str) -> None:
        super().__init__(text)
        self.counter = counter


class AckError(Exception):
    """The backend did not take an ACK. The text says why.

    `away` tells whether the backend is away or broken, and not only this ACK
    refused.
    """

    def __init__(self, text: str, *, away: bool) -> None:
        super().__init__(text)
        self.away = away


@dataclass(frozen=True, slots=True)
class BackendUrls:
    """Where the backend is, and what is shared with it."""

    events: str | None = None
    """Where the feed is, None if events do not come over HTTP."""

    acks: str | None = None
    """Where ACKs are taken, None if they are not."""

    secret: str | None = None
    """The key of all signatures, None if nothing is signed."""


class BackendClient:
    """Calls one backend. Use it as a context manager.

    It follows no redirect and uses no proxy of the environment: the secret's
    signatures go to the named address only.
    """

    def __init__(self, urls: BackendUrls) -> None:
        self._urls = urls

        self._http = httpx.AsyncClient(
            timeout=_STEPS,
            limits=httpx.Limits(
                max_connections=MAX_SIDE_BY_SIDE + 1,
                max_keepalive_connections=MAX_SIDE_BY_SIDE + 1,
                keepalive_expiry=30.0,
            ),
            headers={"accept-encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def fetch(self) -> list[Any]:
        """Return the events that the backend offers, as parsed JSON.

        Raises FeedError; a feed that is not signed as it must be counts as
        none.
        """
        url = self._urls.events

        if url is None:
            return []

        try:
            async with asyncio.timeout(_WHOLE_POLL):
                body, signature = await self._read(url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FeedError(
                "consumer.http_fetch_error", _text(error)
            ) from None
        except TimeoutError:
            raise FeedError(
                "consumer.http_fetch_error", "the feed did not end in time"
            ) from None

        # Nothing of it is parsed before it is known to be the backend's.
        self._verify(body, signature)

        return await parse_feed(body)

    async def confirm(self) -> None:
        """Do nothing: the backend forgets an event at its ACK."""

    async def send(self, body: str) -> None:
        """Send an ACK. Raises AckError unless the backend answers 2xx.

        What the answer says besides does not matter.
        """
        content = body.encode()
        headers = ack_headers(self._urls.secret, content, now_ms())

        try:
            async with asyncio.timeout(_WHOLE_ACK):
                answer = await self._http.post(
                    self._urls.acks or "", content=content, headers=headers
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AckError(_text(error), away=True) from None
        except TimeoutError:
            raise AckError("no answer in time", away=True) from None

        # An error of HTTP is none of the transport, and no delivery either.
        if not answer.is_success:
            status = answer.status_code
            away = status >= 500 or status in (401, 403, 408, 429)

            raise AckError(f"the answer is {status}", away=away)

    async def _read(self, url: str) -> tuple[bytes, str | None]:
        """Return the bytes of the feed and their signature, as they came: the
        signature covers the bytes.

        Raises FeedError, and the errors of httpx.
        """
        headers = poll_headers(self._urls.secret, now_ms())

        async with self._http.stream("GET", url, headers=headers) as answer:
            if not answer.is_success:
                raise FeedError(
                    "consumer.http_error",
                    f"the answer is {answer.status_code}",
                )

            chunks = bytearray()

            async for chunk in answer.aiter_raw():
                chunks += chunk

                if len(chunks) > MAX_FEED:
                    raise FeedError(
                        "consumer.http_fetch_error",
                        f"the feed has more than {MAX_FEED} bytes",
                    )

            return bytes(chunks), answer.headers.get(THEIRS)

    def _verify(self, body: bytes, signature: str | None) -> None:
        """Raise FeedError unless the backend signed the feed; without a secret
        nothing is verified.

        Whoever answers without the key can neither let in nor shut out.
        """
        secret = self._urls.secret

        if secret is None:
            return

        if not signature:
            raise FeedError(
                "consumer.missing_hmac", f"the feed has no {THEIRS}"
            )

        if not is_genuine(secret, body, signature):
            raise FeedError(
                "consumer.hmac_mismatch",
                f"{THEIRS} is not the feed's: is BACKEND_HMAC_SECRET the backend's?",
            )


async def parse_feed(body: bytes) -> list[Any]:
    """Return the events of a feed, whatever each of them is.

    Raises FeedError if it is no JSON array.
    """
    try:
        if len(body) > _LARGE:
            events = await asyncio.to_thread(json.loads, body)
        else:
            events = json.loads(body)
    except (ValueError, RecursionError):
        raise FeedError(
            "consumer.http_parse_error", "the feed is no JSON"
        ) from None

    if not isinstance(events, list):
        raise FeedError(
            "consumer.http_parse_error", "the feed is no JSON array"
        )

    return events


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"

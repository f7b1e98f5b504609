"""Handshakes and traffic of peers, as the agents' metrics show them.

A Peer's status changes only with its state, so these figures are nowhere else.
Where a setting names no agent, or an agent does not answer, they are not
known: nobody waits for them.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import structlog

_TIMEOUT = 2.0
"""Seconds for an agent's answer."""
_AT_ONCE = 1_000
"""Lines that are read before others get their turn."""
_MAX_BYTES = 32 * 1024 * 1024

_SAMPLE = re.compile(
    r"cerebro_peer_(last_handshake_seconds|receive_bytes_total|transmit_bytes_total)"
    r"\{(.*)\} (\S+)"
)
_LABEL = re.compile(r'(\w+)="([^"\\]*)"')
"""Names of objects: nothing in them is escaped."""

log = structlog.get_logger(__name__)

PeerName = tuple[str, str]
"""Hub, and Peer."""


@dataclass(slots=True)
class Figures:
    """What was last seen of a peer on its interface; None: nothing."""

    last_handshake: float | None = None
    """Unix seconds."""

    rx: int | None = None
    """Bytes received."""

    tx: int | None = None
    """Bytes sent."""


class AgentFigures:
    """Reads the metrics of agents."""

    def __init__(
        self, urls: Sequence[str], token: str | None, namespace: str
    ) -> None:
        """`urls` are those of the agents' /metrics; `token` is sent as a
        bearer token.
        """
        self._urls = tuple(urls)
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._namespace = namespace

    async def read(self) -> dict[PeerName, Figures]:
        """Return the figures of the namespace's peers, of those agents that
        answer.
        """
        pages = await asyncio.gather(*map(self._page, self._urls))
        figures: dict[PeerName, Figures] = {}
        for page in pages:
            lines = page.splitlines()
            for start in range(0, len(lines), _AT_ONCE):
                take(figures, lines[start : start + _AT_ONCE], self._namespace)
                await asyncio.sleep(0)

        return figures

    async def _page(self, url: str) -> str:
        """Return the metrics of an agent; an empty text if it does not say."""
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT) as client,
                client.stream("GET", url, headers=self._headers) as answer,
            ):
                answer.raise_for_status()
                return await _text(answer)
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            log.warning(
                "an agent does not say its figures",
                url=url,
                error=str(error) or type(error).__name__,
            )

            return ""


def take(
    figures: dict[PeerName, Figures], lines: Sequence[str], namespace: str
) -> None:
    """Take the figures of a namespace's peers out of lines of a Prometheus
    page.
    """
    for line in lines:
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            continue

        labels = dict(_LABEL.findall(sample[2]))
        if labels.get("namespace") != namespace:
            continue

        name = (labels.get("hub", ""), labels.get("peer", ""))
        peer = figures.setdefault(name, Figures())
        value = float(sample[3])
        if not math.isfinite(value):
            continue

        if sample[1] == "last_handshake_seconds":
            peer.last_handshake = value
        elif sample[1] == "receive_bytes_total":
            peer.rx = int(value)
        else:
            peer.tx = int(value)


async def _text(answer: httpx.Response) -> str:
    """Read a page. Raises ValueError if it is too long."""
    chunks: list[str] = []
    size = 0
    async for chunk in answer.aiter_text():
        size += len(chunk)
        if size > _MAX_BYTES:
            raise ValueError(f"more than {_MAX_BYTES} characters")

        chunks.append(chunk)

    return "".join(chunks)

"""Rule E13: a CRD or namespace that is missing or terminating removes nothing.

When a CRD or a namespace is deleted, the API server deletes its objects one by one, and the watch reports
each like any other deletion. So before a deletion is believed, this asks whether the collection is there to
stay. Terminating CRDs show in discovery, which everybody may read: they lose the verb `create`. The phase of
a namespace is read where our role allows `get` on it; where it does not, a terminating namespace is not
noticed here. A role that allowed it and does no more is no leave to believe anything: it goes with its
namespace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Generic, TypeVar

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound, Unavailable
from cerebro.resources import Kind
from cerebro.runtime.backoff import Backoff

_GATHER = 0.1
"""Seconds in which questions are gathered into one: a burst of deletions costs two requests. Discovery, too,
shows a CRD as terminating a moment after its objects begin to go.
"""

T = TypeVar("T")


class Presence:
    """Answers whether deletions in a collection may be believed."""

    def __init__(self, api: KubeApi, *, backoff: Backoff | None = None) -> None:
        self._api = api
        self._backoff = backoff or Backoff()
        self._served = _Question(self._ask_discovery, self._backoff)
        self._there: dict[str, _Question[bool]] = {}
        self._readable: dict[str, bool] = {}

    async def notice(self, namespace: str) -> None:
        """Learn, once, whether our role lets us read the namespace; best while it is surely there."""
        if namespace not in self._readable:
            await self._ask_namespace(namespace)

    async def intact(self, kind: Kind, namespace: str) -> bool:
        """Say whether kind and namespace are served and not terminating, by requests begun after this call.

        Waits, with back-off, for an API server that does not answer: a deletion can be believed later, too.
        """
        if namespace not in self._there:
            self._there[namespace] = _Question(lambda: self._ask_namespace(namespace), self._backoff)
        while True:
            try:
                served, there = await asyncio.gather(self._served.answer(), self._there[namespace].answer())
            except KubeError:
                continue  # the next answer takes its time
            return there and "create" in served.get(kind.plural, ())

    async def _ask_discovery(self) -> Mapping[str, frozenset[str]]:
        try:
            return await self._api.served()
        except Unavailable as error:
            if error.status == 404:
                return {}
            raise

    async def _ask_namespace(self, name: str) -> bool:
        try:
            answer = await self._api.get_namespace(name)
        except NotFound:
            return False
        except Unavailable as error:
            if error.status == 403 and not self._readable.setdefault(name, False):
                return True
            raise
        self._readable[name] = True
        return bool(answer.get("status", {}).get("phase") != "Terminating")


class _Question(Generic[T]):
    """One request for all who ask within a moment; after an error that moment is as long as the back-off
    says, however many ask.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], backoff: Backoff) -> None:
        self._ask, self._backoff = ask, backoff
        self._asked: asyncio.Task[T] | None = None
        self._delays: Iterator[float] | None = None

    async def answer(self) -> T:
        """Give the answer to a request begun after this call. Raises KubeError."""
        if self._asked is None:
            self._asked = asyncio.create_task(self._ask_later(), name="question before a deletion")
        return await asyncio.shield(self._asked)

    async def _ask_later(self) -> T:
        await asyncio.sleep(next(self._delays) if self._delays is not None else _GATHER)
        self._asked = None
        try:
            answer = await self._ask()
        except KubeError:
            self._delays = self._delays or iter(self._backoff)
            raise
        self._delays = None
        return answer

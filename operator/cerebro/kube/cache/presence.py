"""Whether a deletion may be believed: a CRD or namespace that is missing or
terminating removes nothing (E13).

When a CRD or a namespace is deleted, the API server deletes its objects one by
one, and the watch reports each like any other deletion. So before a deletion
is believed, this asks whether the collection is to stay.

A terminating CRD shows in discovery, which everybody may read: it loses the
verb `create`. The phase of a namespace is read if our role allows `get` on it;
if it does not, a terminating namespace is not noticed here. A role that
allowed it once and does no more proves nothing: the role goes with its
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
"""Seconds in which questions are gathered into one: a burst of deletions costs
two requests. Discovery, too, shows a CRD as terminating a moment after its
objects begin to go.
"""

T = TypeVar("T")


class Presence:
    """Answers whether deletions in a collection may be believed."""

    def __init__(
        self, api: KubeApi, *, backoff: Backoff | None = None
    ) -> None:
        self._api = api
        self._backoff = backoff or Backoff()
        self._discovery = _Question(self._ask_discovery, self._backoff)
        self._namespaces: dict[str, _Question[bool]] = {}
        """By namespace: the question whether it is to stay."""
        self._readable: dict[str, bool] = {}
        """By namespace: whether our role let us read it, at the first try."""

    async def notice(self, namespace: str) -> None:
        """Learn, once, whether our role lets us read the namespace; best while
        the namespace surely exists.
        """
        if namespace not in self._readable:
            await self._ask_namespace(namespace)

    async def intact(self, kind: Kind, namespace: str) -> bool:
        """Return whether kind and namespace are served and not terminating, by
        requests begun after this call.

        Waits, with back-off, for an API server that does not answer: a
        deletion can be believed later, too.
        """
        if namespace not in self._namespaces:
            self._namespaces[namespace] = _Question(
                lambda: self._ask_namespace(namespace), self._backoff
            )

        question = self._namespaces[namespace]

        while True:
            try:
                served, namespace_stays = await asyncio.gather(
                    self._discovery.answer(), question.answer()
                )
            except KubeError:
                continue  # the question waits before it is asked again

            return namespace_stays and "create" in served.get(kind.plural, ())

    async def _ask_discovery(self) -> Mapping[str, frozenset[str]]:
        """Return the verbs by plural; {} if the server does not know our group
        at all. Raises KubeError.
        """
        try:
            return await self._api.served()
        except Unavailable as error:
            if error.status == 404:
                return {}

            raise

    async def _ask_namespace(self, name: str) -> bool:
        """Return whether a namespace is to stay, as far as our role lets us
        know. Raises KubeError.
        """
        try:
            answer = await self._api.get_namespace(name)
        except NotFound:
            return False
        except Unavailable as error:
            if error.status == 403 and not self._readable.setdefault(
                name, False
            ):
                return True

            raise

        self._readable[name] = True

        return bool(answer.get("status", {}).get("phase") != "Terminating")


class _Question(Generic[T]):
    """One request for all who ask within a moment.

    After an error that moment is as long as the back-off says, however many
    ask.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[T]], backoff: Backoff
    ) -> None:
        self._ask = ask
        self._backoff = backoff
        self._pending: asyncio.Task[T] | None = None
        """The request that has not been sent yet."""
        self._delays: Iterator[float] | None = None
        """The waits since the first of the errors in a row; None after an
        answer.
        """

    async def answer(self) -> T:
        """Return the answer to a request begun after this call. Raises
        KubeError.
        """
        if self._pending is None:
            self._pending = asyncio.create_task(
                self._ask_later(), name="question before a deletion"
            )

        return await asyncio.shield(self._pending)

    async def _ask_later(self) -> T:
        delay = _GATHER if self._delays is None else next(self._delays)
        await asyncio.sleep(delay)

        # Whoever asks from now on needs a request that is begun later than
        # this one.
        self._pending = None
        try:
            answer = await self._ask()
        except KubeError:
            self._delays = self._delays or iter(self._backoff)
            raise

        self._delays = None

        return answer

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
import logging
from collections.abc import Mapping

from cerebro.kube.api import KubeApi
from cerebro.kube.backoff import Backoff
from cerebro.kube.errors import KubeError, NotFound, Unavailable
from cerebro.resources import Kind

_GATHER = 0.01
"""Seconds in which questions are gathered into one: a burst of deletions costs two requests."""

log = logging.getLogger(__name__)


class Presence:
    """Answers whether deletions in a collection may be believed."""

    def __init__(self, api: KubeApi, *, backoff: Backoff | None = None) -> None:
        self._api = api
        self._backoff = backoff or Backoff()
        self._asked: dict[str, asyncio.Task[bool]] = {}
        self._readable: dict[str, bool] = {}
        self._served: asyncio.Task[Mapping[str, frozenset[str]]] | None = None

    async def notice(self, namespace: str) -> None:
        """Learn, once, whether our role lets us read the namespace; best while it is surely there."""
        if namespace not in self._readable:
            await self._ask_namespace(namespace)

    async def intact(self, kind: Kind, namespace: str) -> bool:
        """Say whether kind and namespace are served and not terminating, by requests begun after this call.

        Waits, with back-off, for an API server that does not answer: a deletion can be believed later, too.
        """
        for delay in self._backoff:
            try:
                served, there = await asyncio.gather(self._discover(), self._namespace(namespace))
                return there and "create" in served.get(kind.plural, ())
            except KubeError as error:
                if isinstance(error, Unavailable) and error.status == 404:
                    return False
                await asyncio.sleep(delay)
        raise AssertionError("the back-off has no end")

    async def _discover(self) -> Mapping[str, frozenset[str]]:
        if self._served is None:
            self._served = asyncio.create_task(self._ask_discovery(), name="discovery for deletions")
        return await asyncio.shield(self._served)

    async def _ask_discovery(self) -> Mapping[str, frozenset[str]]:
        await asyncio.sleep(_GATHER)
        self._served = None
        return await self._api.served()

    async def _namespace(self, name: str) -> bool:
        if name not in self._asked:
            self._asked[name] = asyncio.create_task(self._ask_later(name), name=f"phase of {name}")
        return await asyncio.shield(self._asked[name])

    async def _ask_later(self, name: str) -> bool:
        await asyncio.sleep(_GATHER)
        del self._asked[name]
        return await self._ask_namespace(name)

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

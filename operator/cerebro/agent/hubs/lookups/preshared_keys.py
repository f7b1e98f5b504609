"""Preshared keys in Secrets; they are remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from cerebro.agent.hubs.model import PresharedKey
from cerebro.domain.conditions import Obstacle
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.kube.client.secrets import Secret
from cerebro.resources import reasons
from cerebro.resources.naming import SECRET_TYPE_WIREGUARD
from cerebro.wireguard.keys import InvalidKey, check_key

_AT_ONCE = 16
"""Secrets that are read at the same time."""

_LATE = "the API server has not answered yet"


class PresharedKeys:
    """The preshared keys of one Hub's Peers, by the Secret's name.

    `changed` is called when a key came or changed, or cannot be had.
    """

    def __init__(
        self, api: KubeApi, namespace: str, changed: Callable[[], None]
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._changed = changed
        self._known: dict[str, PresharedKey] = {}
        self._reads: dict[str, asyncio.Task[None]] = {}
        """By the Secret's name, the reads that are under way."""
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def look_up(
        self, names: Collection[str], *, refresh: bool
    ) -> dict[str, PresharedKey]:
        """Return what is known of the keys in these Secrets; forget all
        others.

        Begins to read what is not known, and with `refresh` all of them anew.
        A key that was read once stays good until the next read has ended.
        """
        self._known = {
            name: known for name, known in self._known.items() if name in names
        }

        for name in names:
            known = self._known.get(name)
            unread = known is None or known.key is None
            if (refresh or unread) and name not in self._reads:
                self._reads[name] = asyncio.create_task(
                    self._look(name), name="read a preshared key"
                )

        late = PresharedKey(None, _not_read(_LATE))

        return {name: self._known.get(name, late) for name in names}

    def close(self) -> None:
        """Read no more."""
        for task in self._reads.values():
            task.cancel()

    async def _look(self, name: str) -> None:
        """Read one Secret; note what it holds, and call `changed` if it is
        news.
        """
        try:
            async with self._gate:
                read = await self._read(name)
        finally:
            self._reads.pop(name, None)

        known = self._known.get(name)
        self._known[name] = read
        if known is None or _meaning(read) != _meaning(known):
            self._changed()

    async def _read(self, name: str) -> PresharedKey:
        where = f"Secret {name} (spec.presharedKeySecretRef)"
        try:
            secret = await self._api.get_secret(self._namespace, name)
            text = secret.text("presharedKey")
        except NotFound:
            return _unusable(
                f"{where} does not exist: make it with type {SECRET_TYPE_WIREGUARD}"
            )
        except KubeError as error:
            # The key that was read last stays good while the API server is
            # away.
            known = self._known.get(name)
            return PresharedKey(
                known.key if known else None, _not_read(str(error))
            )

        return _checked(secret, text, where)


def _meaning(key: PresharedKey) -> tuple[str | None, str | None]:
    """Return what a key says without the words of its trouble, which may
    differ from one error to the next.
    """
    return key.key, key.trouble.reason if key.trouble else None


def _checked(secret: Secret, text: str | None, where: str) -> PresharedKey:
    """Return the key in a Secret, `text`, or why it cannot be used; `where`
    names the Secret in messages.
    """
    if secret.type != SECRET_TYPE_WIREGUARD:
        return _unusable(
            f"{where} has type {secret.type or 'Opaque'}: it must be {SECRET_TYPE_WIREGUARD}"
        )

    if text is None:
        return _unusable(
            f"{where} has no key presharedKey: add it, as `wg genpsk` prints it"
        )

    try:
        return PresharedKey(check_key(text, "preshared key"))
    except InvalidKey as error:
        return _unusable(f"{where} cannot be used: {error}")


def _unusable(message: str) -> PresharedKey:
    return PresharedKey(None, Obstacle("SecretNotUsable", message))


def _not_read(why: str) -> Obstacle:
    message = f"spec.presharedKeySecretRef could not be read yet: {why}"
    return Obstacle(reasons.SECRET_NOT_READ, message, looked=False)

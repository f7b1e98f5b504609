"""What Peers name and do not hold: preshared keys in Secrets and addresses of
host names. Both are remembered.

A pass never waits for a name server, and for Secrets only if it has never read
them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection

from cerebro.agent.hubs.model import PresharedKey
from cerebro.domain.conditions import Obstacle
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.kube.client.secrets import Secret
from cerebro.resources.naming import SECRET_TYPE_WIREGUARD
from cerebro.resources.reasons import NOT_RESOLVED
from cerebro.wireguard.keys import InvalidKey, check_key
from cerebro.wireguard.model import Endpoint
from cerebro.wireguard.networks import literal_endpoint, split_endpoint

_AT_ONCE = 16
"""Secrets that are read, and names that are resolved, at the same time."""

_FIRST_READ = 20.0
"""Seconds for all Secrets that a pass needs for the first time."""

_RESOLVE = 5.0
"""Seconds for one host name."""

_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class PresharedKeys:
    """The preshared keys of one Hub's Peers, by the Secret's name."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._known: dict[str, PresharedKey] = {}

    async def read(
        self, names: Collection[str], *, refresh: bool
    ) -> dict[str, PresharedKey]:
        """Return the keys in these Secrets; forget all others.

        Keys that are known are read anew only with `refresh`.
        """

        unread = [name for name in names if refresh or self._is_unread(name)]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def read(name: str) -> None:
            async with gate:
                self._known[name] = await self._read(name)

        try:
            async with asyncio.timeout(_FIRST_READ):
                await asyncio.gather(*(read(name) for name in unread))
        except TimeoutError:
            pass

        self._known = {
            name: self._known[name] for name in names if name in self._known
        }

        late = PresharedKey(
            None, _not_read("the API server did not answer in time")
        )

        return {name: self._known.get(name, late) for name in names}

    def _is_unread(self, name: str) -> bool:
        known = self._known.get(name)
        return known is None or known.key is None

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
    return Obstacle("SecretNotRead", message, looked=False)


class Endpoints:
    """Addresses of the host names that Peers of one Hub dial.

    `changed` is called when an address came or changed, or cannot be had.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._known: dict[str, Endpoint | Obstacle] = {}
        """By spec.endpoint, the address or why there is none."""
        self._lookups: dict[str, asyncio.Task[None]] = {}
        """By spec.endpoint, the look-ups that are under way."""
        self._gate = asyncio.Semaphore(_AT_ONCE)

    def look_up(
        self, endpoints: Collection[str], *, refresh: bool
    ) -> tuple[dict[str, Endpoint], dict[str, Obstacle]]:
        """Return by spec.endpoint the addresses to dial that are known, and
        why others are not.

        All other endpoints are forgotten. `refresh` looks all names up anew
        meanwhile. A name that was known once keeps its address until another
        one is known.
        """

        self._known = {
            text: known
            for text, known in self._known.items()
            if text in endpoints
        }

        addresses: dict[str, Endpoint] = {}
        troubles: dict[str, Obstacle] = {}
        for text in endpoints:
            known = self._resolve(text, refresh=refresh)
            if isinstance(known, Obstacle):
                troubles[text] = known
            elif known is not None:
                addresses[text] = known

        return addresses, troubles

    def close(self) -> None:
        """Look no more up."""
        for task in self._lookups.values():
            task.cancel()

    def _resolve(
        self, endpoint: str, *, refresh: bool
    ) -> Endpoint | Obstacle | None:
        """Return what is known of an endpoint now; begin a look-up if one is
        due.
        """

        try:
            literal = literal_endpoint(endpoint)
        except ValueError as error:  # of a Peer that an older schema let in
            return Obstacle(NOT_RESOLVED, f"spec.endpoint: {error}")

        if literal is not None:
            return literal

        due = refresh or endpoint not in self._known
        if due and endpoint not in self._lookups:
            task = asyncio.create_task(
                self._look_up(endpoint), name="resolve a peer's endpoint"
            )

            self._lookups[endpoint] = task

        return self._known.get(endpoint)

    async def _look_up(self, endpoint: str) -> None:
        """Ask the node's name servers; note what they answer, and call
        `changed` if it is news.
        """

        host, port = split_endpoint(endpoint)
        addresses: list[Endpoint] = []
        try:
            async with self._gate, asyncio.timeout(_RESOLVE):
                addresses = await _addresses(host, port)
        except (
            OSError,
            TimeoutError,
            UnicodeError,
        ):  # the last for what can be no name, such as a..b
            pass
        finally:
            self._lookups.pop(endpoint, None)

        known = self._known.get(endpoint)
        if addresses and known not in addresses:
            self._known[endpoint] = min(addresses)
            self._changed()
        elif not addresses and known is None:
            self._known[endpoint] = _not_resolved(endpoint, host)
            self._changed()


async def _addresses(host: str, port: int) -> list[Endpoint]:
    """Return the IP addresses of a host name, each with the port. Raises
    OSError, UnicodeError.
    """
    loop = asyncio.get_running_loop()
    answers = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)

    return [
        (str(at[0]), int(at[1]))
        for family, *_, at in answers
        if family in _FAMILIES
    ]


def _not_resolved(endpoint: str, host: str) -> Obstacle:
    message = (
        f"spec.endpoint {endpoint} is not dialled: the node finds no address of {host}; correct the name, or "
        "the node's name servers. It is looked up again at every resync of the Hub"
    )

    return Obstacle(NOT_RESOLVED, message)

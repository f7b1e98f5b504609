"""The key of a Hub's interface (rule E3): the interface's, else the Secret's,
else a new one. It is never changed.

The interface gets a key only once the Secret holds the same one: a key that
only an interface has is lost with it, and with it every router's way back. An
interface that has a key waits for no API server: its Secret is compared
beside the passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from cerebro.domain.conditions import Obstacle
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import AlreadyExists, KubeError, NotFound
from cerebro.kube.client.secrets import Secret
from cerebro.resources import Hub, reasons
from cerebro.resources.naming import SECRET_TYPE_WIREGUARD
from cerebro.wireguard.backend import ForeignInterface
from cerebro.wireguard.keys import (
    InvalidKey,
    check_private_key,
    derive_public_key,
    generate_private_key,
)
from cerebro.wireguard.model import Interface

_PATIENCE = 2.0
"""Seconds for the API server where this node knows a key as well."""

_LABELS = {"app.kubernetes.io/managed-by": "cerebro-agent"}


@dataclass(frozen=True, slots=True)
class HubKey:
    """The key that the interface has or is to have."""

    private_key: str | None = field(default=None, repr=False)
    """None: it cannot be had, and the interface cannot be configured."""

    trouble: Obstacle | None = None
    """What is wrong. Beside a key it is a warning only."""

    @property
    def public_key(self) -> str | None:
        """The public key that belongs to the private one."""
        return (
            derive_public_key(self.private_key) if self.private_key else None
        )


class HubKeys:
    """Settles the key of one Hub's interface, and remembers it.

    `changed` is called when something else is wrong about the Secret than
    before, or nothing any more.
    """

    def __init__(self, api: KubeApi, changed: Callable[[], None]) -> None:
        self._api = api
        self._changed = changed
        self._compared: HubKey | None = None
        """What the last comparison of an interface's key came to."""
        self._comparison: asyncio.Task[None] | None = None
        self._last: str | None = None
        """The private key that the Hub's interface had last."""

    async def settle(
        self, hub: Hub, on_interface: str | None, *, create: bool = True
    ) -> HubKey:
        """Return the key of an interface that is the Hub's; arguments as for
        `settle_key`.

        A key on the interface is returned at once, with what the last
        comparison with the Secret came to; only the first one is waited for, 2
        seconds at most. For an interface without a key the Secret is read; if
        that takes longer than 2 seconds, or fails, the key that the interface
        had before counts.
        """
        if on_interface is None:
            key = await self._from_secret(hub, create=create)
        else:
            key = await self._of_interface(hub, on_interface, create=create)

        if on_interface is not None or create:
            self._last = key.private_key or self._last

        return key

    async def claim(
        self, hub: Hub, actual: Interface, *, ours: bool, create: bool
    ) -> HubKey:
        """Settle the key of an interface that was read; one whose key a leased
        Hub knows from nowhere is another's.

        `ours`: it is the Hub's whatever its key is. An Interface without a key
        is one that was just made. Raises ForeignInterface.
        """
        noted = actual.public_key in (None, hub.status.public_key)
        if noted or ours:
            return await self.settle(
                hub, actual.private_key or None, create=create
            )

        key = await settle_key(self._api, hub, None, create=False)
        if key.private_key not in (None, actual.private_key):
            raise ForeignInterface(
                f"the interface {hub.spec.interface} on this node has another key than this Hub: set another "
                "spec.interface, or remove it"
            )

        return key

    def close(self) -> None:
        """Compare no more."""
        if self._comparison is not None:
            self._comparison.cancel()

    async def _from_secret(self, hub: Hub, *, create: bool) -> HubKey:
        """Return the key for an interface that has none yet."""
        if self._last is None:
            return await settle_key(self._api, hub, None, create=create)

        try:
            async with asyncio.timeout(_PATIENCE):
                key = await settle_key(self._api, hub, None, create=create)
        except TimeoutError:
            return HubKey(self._last)

        is_read = key.trouble is None or key.trouble.looked

        return key if is_read else HubKey(self._last)

    async def _of_interface(
        self, hub: Hub, private: str, *, create: bool
    ) -> HubKey:
        known = self._compared
        if known is not None and known.private_key != private:
            known = None  # it was another key that was compared

        if self._comparison is None or self._comparison.done():
            self._comparison = asyncio.create_task(
                self._compare(hub, private, create=create),
                name="compare a Hub's key with its Secret",
            )

        if known is None:
            await asyncio.wait((self._comparison,), timeout=_PATIENCE)
            known = self._compared

        if known is None or known.private_key != private:
            return HubKey(private)

        return known

    async def _compare(self, hub: Hub, private: str, *, create: bool) -> None:
        """Compare an interface's key with the Secret, and note what came of
        it.
        """
        key = await settle_key(self._api, hub, private, create=create)
        before = self._compared
        self._compared = key

        if before is not None and before.trouble != key.trouble:
            self._changed()


async def settle_key(
    api: KubeApi, hub: Hub, on_interface: str | None, *, create: bool = True
) -> HubKey:
    """Return the key, from the Secret or, with `create`, put into a new Secret
    first.

    `on_interface` is the private key that the interface has already; it stays whatever the Secret holds. Raises
    nothing: an error of the API server is in `trouble`.
    """
    name = hub.private_key_secret_name
    try:
        try:
            secret = await api.get_secret(hub.namespace, name)
        except NotFound:
            return await _make(api, hub, on_interface, create=create)

        return _compare(hub, on_interface, secret)
    except KubeError as error:
        # A key that the interface has already needs no Secret for now.
        if on_interface:
            return HubKey(on_interface)

        message = f"Secret {name} (spec.privateKeySecretRef) could not be read or made yet: {error}"

        obstacle = Obstacle(reasons.SECRET_NOT_READ, message, looked=False)

        return HubKey(None, obstacle)


async def _make(
    api: KubeApi, hub: Hub, on_interface: str | None, *, create: bool
) -> HubKey:
    """Return a key for a Hub without a Secret; make the Secret with `create`.
    Raises KubeError.
    """

    private = on_interface or generate_private_key()
    if not create:
        return HubKey(private)

    name = hub.private_key_secret_name
    data = {
        "privateKey": private.encode(),
        "publicKey": derive_public_key(private).encode(),
    }

    try:
        await api.create_secret(
            hub.namespace,
            name,
            type=SECRET_TYPE_WIREGUARD,
            data=data,
            labels=_LABELS,
        )
    except AlreadyExists:
        # Somebody else made it since it was read: that one counts.
        return _compare(
            hub, on_interface, await api.get_secret(hub.namespace, name)
        )

    return HubKey(private)


def _compare(hub: Hub, on_interface: str | None, secret: Secret) -> HubKey:
    """Return the key of a Hub that has a Secret, with what is wrong about the
    Secret.
    """

    where = f"Secret {secret.name} (spec.privateKeySecretRef)"
    trouble: str | None = None
    private: str | None = None
    try:
        text = secret.text("privateKey")
        if secret.type != SECRET_TYPE_WIREGUARD:
            trouble = f"has type {secret.type or 'Opaque'}: make it anew with type {SECRET_TYPE_WIREGUARD}"
        elif text is None:
            trouble = "has no key privateKey: add it, or delete the Secret and it is made anew"
        else:
            private = check_private_key(text)
    except (InvalidKey, KubeError) as error:
        trouble = f"cannot be used: {error}"

    if trouble is not None:
        return HubKey(
            on_interface, Obstacle("SecretNotUsable", f"{where} {trouble}")
        )

    if on_interface is not None and private != on_interface:
        message = (
            f"{where} holds another key than interface {hub.spec.interface} has; nothing is changed. To keep "
            "the interface's key, delete the Secret: it is made anew from it. To have the Secret's, delete the "
            "interface: every router then needs the new public key"
        )

        return HubKey(on_interface, Obstacle("KeyMismatch", message))

    return HubKey(private)

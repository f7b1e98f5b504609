"""The passwords of hotspot users, out of the Secrets that Sessions name (rule
D2).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from cerebro.domain.lifecycle import is_ours
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.resources import Device, Session
from cerebro.routeros.client.credentials import router_credentials
from cerebro.routeros.client.errors import SecretError

_AT_ONCE = 16
"""Secrets that are read side by side."""

_WITHIN = 3.0
"""Seconds for all of them: the router waits meanwhile."""


@dataclass
class ToldPasswords:
    """Which passwords a router was told, by user.

    A router that masks passwords cannot be compared: there a password is
    written where the one that was written last was another.
    """

    _digests: dict[str, str] = field(default_factory=dict)

    def is_news(self, user: str, password: str | None) -> bool:
        """Return whether the router may have another password."""
        if password is None:
            return False

        return self._digests.get(user) != _digest(password)

    def note(self, user: str, password: str) -> None:
        """Note that the router has this password."""
        self._digests[user] = _digest(password)

    def forget(self, user: str) -> None:
        """Forget a user that has gone."""
        self._digests.pop(user, None)


async def read_passwords(
    api: KubeApi, device: Device, sessions: Iterable[Session]
) -> dict[str, str | SecretError]:
    """Return the password of each Session's user by the Session's UID, or
    why its Secret cannot be used; Sessions that name no Secret are left
    out.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    tasks = {
        session.metadata.uid: asyncio.create_task(
            _read_behind(gate, api, device, session)
        )
        for session in sessions
        if _secret_of(session)
    }

    if not tasks:
        return {}

    try:
        await asyncio.wait(tasks.values(), timeout=_WITHIN)

        return {uid: _outcome(task) for uid, task in tasks.items()}
    finally:
        for task in tasks.values():
            task.cancel()


async def _read_behind(
    gate: asyncio.Semaphore, api: KubeApi, device: Device, session: Session
) -> str | SecretError:
    async with gate:
        try:
            return await _read(api, device, session)
        except SecretError as error:
            return error


async def _read(api: KubeApi, device: Device, session: Session) -> str:
    """Return the password of a Session's user. Raises SecretError."""
    name = _secret_of(session)
    where = f"Secret {name} (spec.hotspotUser.passwordSecretRef)"

    try:
        secret = await api.get_secret(session.namespace, name)
    except NotFound:
        raise SecretError(
            f"{where} does not exist: make it with type relay.cerebro.dev/router and the key password"
        ) from None
    except KubeError as error:
        raise SecretError(f"{where} could not be read: {error}") from None

    # Whoever may send an order need not be one who may read Secrets.
    credentials = router_credentials(
        secret,
        device=device.name,
        address=device.api_address or "",
        must_name_device=is_ours(session),
        username="a hotspot user",
    )

    if not credentials.password:
        raise SecretError(f"{where}: password is empty: write it")

    return credentials.password


def _outcome(task: asyncio.Task[str | SecretError]) -> str | SecretError:
    if not task.done():
        return SecretError(
            f"the Secrets of spec.hotspotUser.passwordSecretRef were not read within {_WITHIN:g} s: they are read again"
        )

    return task.result()


def _secret_of(session: Session) -> str:
    user = session.spec.hotspot_user
    reference = None if user is None else user.password_secret_ref

    return "" if reference is None else reference.name


def _digest(password: str) -> str:
    encoded = password.encode("utf-8", "surrogateescape")

    return hashlib.sha256(encoded).hexdigest()

"""The connection to a router on which its DeviceCommands run: beside that of
its loop, so that a slow command never delays access (rule B5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.fitness.version import check_version
from cerebro.agent.devices.identity import check_serial_number
from cerebro.resources import Device
from cerebro.routeros.client.command import Command
from cerebro.routeros.client.credentials import RouterCredentials
from cerebro.routeros.client.errors import RouterError, SecretError
from cerebro.routeros.client.session import RouterSession

_SILENT = 5.0
"""Seconds without a byte after which a connection is asked whether it lives."""
_LIVES_WITHIN = 1.0
"""Seconds in which it has to answer."""

LinkFactory = Callable[[RouterCredentials | None], RouterLink]
"""Makes a link that logs in with these credentials; None: with those of the
Device.
"""


class CommandLink:
    """The connection for the commands of one Device, opened on demand. Several
    commands may use it at once.
    """

    def __init__(self, make_link: LinkFactory) -> None:
        self._make_link = make_link
        self._link = make_link(None)
        self._probing: RouterLink | None = None
        self._opening = asyncio.Lock()

    async def session(self, device: Device) -> RouterSession:
        """Return a connection to the right router that surely lived a moment
        ago. Raises RouterError.
        """

        async with self._opening:
            session, fresh = await self._link.session(device)

            if not fresh and not await _lives(session):
                self._link.drop()
                session, _ = await self._link.session(device)

            check_serial_number(device, self._link.facts, None)
            check_version(self._link.facts)

            return session

    async def session_with(
        self, device: Device, values: Mapping[str, str]
    ) -> RouterSession:
        """Return a connection that logged in with the username and password of
        a Secret; the one before it is closed. Raises RouterError.
        """

        for key in ("username", "password"):
            if key not in values:
                raise SecretError(
                    f"the Secret of spec.secretRef has no key {key}: add it"
                )

        credentials = RouterCredentials(values["username"], values["password"])

        async with self._opening:
            if self._probing is not None:
                await self._probing.close()

            self._probing = self._make_link(credentials)
            session, _ = await self._probing.session(device)
            check_serial_number(device, self._probing.facts, None)
            check_version(self._probing.facts)

            return session

    def drop_stale(self) -> None:
        """Let go of a connection that may have died with its tunnel."""
        self._link.drop_stale()

    async def close(self) -> None:
        """Say /quit and close (rule E14)."""
        await self._link.close()

        if self._probing is not None:
            await self._probing.close()


async def _lives(session: RouterSession) -> bool:
    """Return whether a connection brought a byte of late, or answers at once."""
    now = asyncio.get_running_loop().time()

    if now - session.last_byte_at < _SILENT:
        return True

    try:
        await session.run(
            Command("/system/identity", "print"), deadline=_LIVES_WITHIN
        )
    except RouterError:
        return False

    return True

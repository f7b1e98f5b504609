"""The connection of a Device's loop to its router: opened when needed, with
Secrets that are read anew for each connection (rule B7).

This file decides nothing about access. What keeps a connection from being made
is raised as a RouterError.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass
from typing import Protocol

from cerebro.agent.context import Tunnels
from cerebro.agent.devices.model import RouterFacts
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.kube.client.secrets import Secret
from cerebro.resources import Device
from cerebro.resources.addresses import normal_host
from cerebro.resources.naming import came_over_http
from cerebro.routeros.client.command import Command, Observe, Reply
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.credentials import (
    RouterCredentials,
    router_credentials,
)
from cerebro.routeros.client.errors import (
    LoginRefused,
    SecretError,
    Trap,
    Unreachable,
    printable,
)
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.client.tls import TlsSettings

_STALE = 1.0
"""Seconds without a byte after which a connection may have died with its
tunnel; a busy one brings bytes more often.
"""

_CLOSING = 3.0
"""Seconds in which a connection is to close."""


@dataclass(frozen=True, slots=True)
class _Purpose:
    """For what credentials were read: they hold for nothing else (rule D2)."""

    secret: str
    """The Secret's name."""

    uid: str
    """The Device's UID."""

    address: str
    """The address that is dialled, in its one spelling."""


class DailyLogin(Protocol):
    """What a connection logs in with instead of the credentials."""

    async def attempts(self, device: Device) -> list[tuple[str, str]]:
        """Return pairs of user and password; none: take the credentials."""
        ...

    def refused(self, message: str) -> None:
        """Note that the router refused them all."""
        ...


class RouterLink:
    """The connection of one Device. Not for several tasks at once."""

    def __init__(
        self,
        api: KubeApi,
        tunnels: Tunnels,
        *,
        credentials: RouterCredentials | None = None,
        observe: Observe | None = None,
    ) -> None:
        """With `credentials` those are used, and no Secret is read for them.

        `observe` is called with the outcome of each command.
        """
        self._observe = observe
        self._api = api
        self._tunnels = tunnels
        self._given_credentials = credentials
        self._session: RouterSession | None = None
        self._dialled: tuple[object, ...] | None = None
        self._credentials: tuple[_Purpose, RouterCredentials] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.facts = RouterFacts()
        self.daily: DailyLogin | None = None
        self.by_daily_login = False
        """Whether the connection is logged in by `daily`."""

    @property
    def open(self) -> bool:
        """Return whether a connection stands, as far as is known."""
        session = self._session
        if session is None:
            return False

        return session.closed is None and not session.suspect

    async def session(self, device: Device) -> tuple[RouterSession, bool]:
        """Return the connection, and whether it is a new one; it is opened
        anew if it broke, or if the Device names another place or another
        Secret.

        Raises RouterError (SecretError for what is wrong with a Secret or the
        address).
        """

        destination = _destination(device)
        moved = self._dialled != destination
        if self._session is not None and (moved or not self.open):
            self.drop()

        if self._session is not None:
            return self._session, False

        session = await self._log_in(device)

        try:
            self.facts = await read_facts(session)
        except BaseException:
            await session.close()
            raise

        self._session, self._dialled = session, destination

        return session, True

    async def dial(
        self, device: Device, attempts: list[tuple[str, str]] | None = None
    ) -> RouterSession:
        """Return another connection, logged in with the first of the attempts
        that the router takes, by default with the credentials. The caller
        closes it.

        Raises RouterError.
        """

        address, port = _allowed_address(device)

        if attempts is None:
            given = self._given_credentials
            credentials = given or await self._read_credentials(
                device, address
            )
            attempts = credentials.attempts

        tls = await self._read_tls(device)
        timeout = device.spec.api.timeout.total_seconds()

        return await connect(
            address,
            port,
            attempts,
            tls,
            timeout,
            interface=self._interface(device),
            observe=self._observe,
        )

    async def secret_state(self, device: Device) -> str:
        """Return a text that changes when the Device's Secret does, so that a
        repaired one is tried at once (rule B5). It shows nothing of the
        content.
        """
        name = device.spec.api.credentials_secret_ref.name
        try:
            secret = await self._api.get_secret(device.namespace, name)
        except KubeError as error:
            return type(error).__name__

        return _digest(secret)

    def drop(self) -> None:
        """Let go of the connection. It is closed in the background: a router
        takes only twenty connections.
        """
        if self._session is not None:
            task = asyncio.create_task(
                self._session.close(), name="close router session"
            )

            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

        self._session = None

    def drop_stale(self) -> None:
        """Let go of a connection that brought no byte of late: it may have
        died with the tunnel (rule B5).
        """
        if self._session is None:
            return

        silence = time.monotonic() - self._session.last_byte_at
        if silence > _STALE:
            self.drop()

    async def close(self) -> None:
        """Say /quit and close (rule E14)."""
        self.drop()

        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSING)

    async def _log_in(self, device: Device) -> RouterSession:
        """Return a new connection for daily work: by the daily login if there
        is one and the router takes it, else with the credentials (rule B7).

        Raises RouterError.
        """
        daily = self.daily
        attempts = [] if daily is None else await daily.attempts(device)
        self.by_daily_login = False

        if daily is not None and attempts:
            try:
                session = await self.dial(device, attempts)
            except LoginRefused as error:
                daily.refused(str(error))
            else:
                self.by_daily_login = True
                return session

        return await self.dial(device)

    async def _read_credentials(
        self, device: Device, address: str
    ) -> RouterCredentials:
        """Read the Device's Secret; while the API server does not answer, the
        credentials that were read last hold, for the same Secret, Device and
        address (rule D2).
        """

        name = device.spec.api.credentials_secret_ref.name
        purpose = _Purpose(name, device.metadata.uid, normal_host(address))
        known = self._credentials

        try:
            secret = await self._api.get_secret(device.namespace, name)
        except NotFound:
            self._credentials = None
            raise SecretError(
                f"Secret {name} (spec.api.credentialsSecretRef) does not exist: "
                "make it with type relay.cerebro.dev/router"
            ) from None
        except KubeError as error:
            if known is None or known[0] != purpose:
                raise SecretError(
                    f"Secret {name} could not be read yet: {error}"
                ) from None

            return known[1]

        # What was known before holds no more, whatever this Secret says.
        self._credentials = None
        credentials = router_credentials(
            secret,
            device=device.name,
            address=address,
            must_name_device=came_over_http(device),
        )

        self._credentials = purpose, credentials

        return credentials

    def _interface(self, device: Device) -> str | None:
        """Return the interface through which the router is dialled; None where
        the node's routes decide.

        Raises Unreachable if the tunnel has no interface any more.
        """
        if not device.dials_tunnel:
            return None

        interface = self._tunnels.interface_to(device)
        if interface is None:
            raise Unreachable(
                "TunnelInterfaceGone",
                "this node carries the Hub's interface no more; the router is dialled when it is back",
            )

        return interface

    async def _read_tls(self, device: Device) -> TlsSettings:
        """Read the authorities that may have signed the router's certificate,
        where the Device names a Secret.
        """

        tls = device.spec.api.tls
        if tls.mode != "Verify" or tls.ca_secret_ref is None:
            return TlsSettings(tls.mode, None, tls.server_name)

        where = f"Secret {tls.ca_secret_ref.name} (spec.api.tls.caSecretRef)"

        try:
            secret = await self._api.get_secret(
                device.namespace, tls.ca_secret_ref.name
            )

            authorities = secret.text("ca.crt")
        except KubeError as error:
            raise SecretError(f"{where}: {error}") from None

        if authorities is None:
            raise SecretError(f"{where} has no key ca.crt: add it")

        return TlsSettings(tls.mode, authorities, tls.server_name)


def _digest(secret: Secret) -> str:
    identity = json.dumps([secret.uid, secret.type, dict(secret.annotations)])
    digest = hashlib.sha256(identity.encode())
    for name in sorted(secret.data):
        digest.update(name.encode() + b"\0" + secret.data[name] + b"\0")

    return digest.hexdigest()


def _destination(device: Device) -> tuple[object, ...]:
    """Return all that a connection depends on."""
    api = device.spec.api

    return (
        normal_host(device.api_address or ""),
        api.effective_port,
        api.tls,
        api.credentials_secret_ref.name,
        api.timeout,
        api.allow_plaintext,
    )


def _allowed_address(device: Device) -> tuple[str, int]:
    """Return where to dial; without TLS only the tunnel's address, unless the
    Device allows plain text (rule D2).

    Raises SecretError if the Device has no address yet, or the password would
    cross a network in plain text.
    """

    api = device.spec.api
    address = device.api_address
    if address is None:
        raise SecretError(
            "spec.api.address is empty and there is no tunnel address yet: write it, or set hubRef"
        )

    plain = api.tls.mode == "Disabled"

    if plain and not api.allow_plaintext and not device.dials_tunnel:
        raise SecretError(
            "without TLS the password would cross the network in plain text: set spec.api.tls.mode, or "
            "spec.api.allowPlaintext where that network is trusted"
        )

    return address, api.effective_port


async def read_facts(session: RouterSession) -> RouterFacts:
    """Read what the router says of itself, in one round trip."""
    identity, resource, board = await session.run_all(
        [
            Command("/system/identity", "print"),
            Command(
                "/system/resource",
                "print",
                {".proplist": "version,board-name"},
            ),
            Command(
                "/system/routerboard", "print", {".proplist": "serial-number"}
            ),
        ]
    )

    system = _first_row(resource)

    return RouterFacts(
        identity=_first_row(identity).get("name"),
        version=system.get("version"),
        board=system.get("board-name"),
        serial_number=_first_row(board).get("serial-number"),
    )


def _first_row(reply: Reply | Trap) -> dict[str, str]:
    """Return the first row in printable form, which a status takes; empty if
    the router has no such menu.
    """
    if isinstance(reply, Trap) or not reply.rows:
        return {}

    return {name: printable(text) for name, text in reply.rows[0].items()}

"""The one connection of a Device's loop to its router: opened when needed, with Secrets that are read anew
each time (rule B7).

It decides nothing about access. What keeps a connection from being made is said as an `Obstacle`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import json
import time
from typing import Any

from cerebro.agent.devices.model import RouterFacts
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.kube.client.secrets import Secret
from cerebro.resources import Device
from cerebro.routeros.client.command import Command
from cerebro.routeros.client.connection import connect
from cerebro.routeros.client.credentials import RouterCredentials, router_credentials
from cerebro.routeros.client.errors import (
    ConnectionLost,
    DeadlineExceeded,
    LoginRefused,
    RouterError,
    SecretError,
    Stalled,
    Trap,
    TrapKind,
    Unreachable,
    printable,
)
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.client.tls import TlsSettings

_STALE = 1.0  # seconds; a connection that is at work now brings more often something


class RouterLink:
    """The connection of one Device. Not for several tasks at once."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._session: RouterSession | None = None
        self._dialled: tuple[object, ...] | None = None
        self._credentials: RouterCredentials | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.facts = RouterFacts()

    @property
    def open(self) -> bool:
        """Tell whether a connection stands, as far as is known."""
        return self._session is not None and self._session.closed is None and not self._session.suspect

    async def session(self, device: Device) -> tuple[RouterSession, bool]:
        """Return the connection, and whether it is a new one; opened anew when it broke or the Device says
        another place.

        Raises RouterError (SecretError for what is wrong with a Secret or the address).
        """
        dialled = _destination(device)
        if self._session is not None and (self._dialled != dialled or not self.open):
            self.drop()
        if self._session is not None:
            return self._session, False
        address, port = _allowed_address(device)
        credentials = await self._read_credentials(device, address)
        tls = await self._read_tls(device)
        timeout = device.spec.api.timeout.total_seconds()
        session = await connect(address, port, credentials.attempts, tls, timeout)
        try:
            self.facts = await _facts(session)
        except BaseException:
            await session.close()
            raise
        self._session, self._dialled = session, dialled
        return session, True

    async def secret_state(self, device: Device) -> str:
        """Return a text that changes when the Device's Secret does, so that a repaired one is tried at once
        (rule B5).
        """
        try:
            secret = await self._api.get_secret(device.namespace, device.spec.api.credentials_secret_ref.name)
        except KubeError as error:
            return type(error).__name__
        content = json.dumps([secret.uid, secret.type, dict(secret.annotations)]).encode()
        digest = hashlib.sha256(content)
        for name in sorted(secret.data):
            digest.update(name.encode() + b"\0" + secret.data[name] + b"\0")
        return digest.hexdigest()

    def drop(self) -> None:
        """Let go of the connection; it is closed in the background, a leaked one is one of twenty."""
        if self._session is not None:
            task = asyncio.create_task(self._session.close(), name="close router session")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._session = None

    def drop_stale(self) -> None:
        """Let go of a connection that brought nothing of late: it may have died with the tunnel (rule B5)."""
        if self._session is not None and time.monotonic() - self._session.last_byte_at > _STALE:
            self.drop()

    async def close(self) -> None:
        """Say /quit and close (rule E14)."""
        self.drop()
        if self._closing:
            await asyncio.wait(self._closing, timeout=3.0)

    async def _read_credentials(self, device: Device, address: str) -> RouterCredentials:
        name = device.spec.api.credentials_secret_ref.name
        try:
            secret = await self._api.get_secret(device.namespace, name)
        except NotFound:
            self._credentials = None
            raise SecretError(
                f"Secret {name} (spec.api.credentialsSecretRef) does not exist: "
                "make it with type relay.cerebro.dev/router"
            ) from None
        except KubeError as error:
            if self._credentials is None:
                raise SecretError(f"Secret {name} could not be read yet: {error}") from None
            return self._credentials  # the API server is away: go on with what was right last
        self._credentials = router_credentials(_as_manifest(secret), device=device.name, address=address)
        return self._credentials

    async def _read_tls(self, device: Device) -> TlsSettings:
        tls = device.spec.api.tls
        if tls.mode != "Verify" or tls.ca_secret_ref is None:
            return TlsSettings(tls.mode, None, tls.server_name)
        try:
            secret = await self._api.get_secret(device.namespace, tls.ca_secret_ref.name)
            authorities = secret.text("ca.crt")
        except KubeError as error:
            raise SecretError(
                f"Secret {tls.ca_secret_ref.name} (spec.api.tls.caSecretRef): {error}"
            ) from None
        if authorities is None:
            raise SecretError(
                f"Secret {tls.ca_secret_ref.name} (spec.api.tls.caSecretRef) has no key ca.crt: add it"
            )
        return TlsSettings(tls.mode, authorities, tls.server_name)


_REASONS: dict[type[RouterError], str] = {
    SecretError: "SecretNotUsable",
    LoginRefused: "LoginRefused",
    DeadlineExceeded: "NoAnswer",
    Stalled: "NoAnswer",
    ConnectionLost: "ConnectionLost",
}
_TRAP_REASONS = {TrapKind.NOT_PERMITTED: "NotPermitted", TrapKind.NO_COMMAND: "NotSupported"}


def reason_of(error: RouterError) -> str:
    """Return the condition reason for an error of a router."""
    if isinstance(error, Unreachable):
        return error.reason
    if isinstance(error, Trap):
        return _TRAP_REASONS.get(error.kind, "RefusedByRouter")
    return _REASONS.get(type(error), "RouterError")


def _destination(device: Device) -> tuple[object, ...]:
    api = device.spec.api
    return (
        device.api_address,
        api.effective_port,
        api.tls,
        api.credentials_secret_ref.name,
        api.timeout,
        api.allow_plaintext,
    )


def _allowed_address(device: Device) -> tuple[str, int]:
    """Return where to dial; without TLS only tunnel addresses, unless the Device allows plain text (rule D2)."""
    api = device.spec.api
    address = device.api_address
    if address is None:
        raise SecretError(
            "spec.api.address is empty and there is no tunnel address yet: write it, or set hubRef"
        )
    if api.tls.mode == "Disabled" and not api.allow_plaintext and not _same(address, device.tunnel_address):
        raise SecretError(
            "without TLS the password would cross the network in plain text: set spec.api.tls.mode, or "
            "spec.api.allowPlaintext where that network is trusted"
        )
    return address, api.effective_port


def _same(one: str, other: str | None) -> bool:
    try:
        return other is not None and ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return one == other


def _as_manifest(secret: Secret) -> dict[str, Any]:
    data = {key: base64.b64encode(value).decode("ascii") for key, value in secret.data.items()}
    metadata = {"name": secret.name, "annotations": secret.annotations}
    return {"type": secret.type, "metadata": metadata, "data": data}


async def _facts(session: RouterSession) -> RouterFacts:
    identity, resource, board = await session.run_all(
        [
            Command("/system/identity", "print"),
            Command("/system/resource", "print", {".proplist": "version,board-name"}),
            Command("/system/routerboard", "print", {".proplist": "serial-number"}),
        ]
    )
    rows: list[dict[str, str]] = []
    for reply in (identity, resource, board):
        row = {} if isinstance(reply, Trap) or not reply.rows else reply.rows[0]
        rows.append({name: printable(text) for name, text in row.items()})  # a status takes 1024 characters
    return RouterFacts(
        identity=rows[0].get("name"),
        version=rows[1].get("version"),
        board=rows[1].get("board-name"),
        serial_number=rows[2].get("serial-number"),
    )

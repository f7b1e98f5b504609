"""Makes and deletes the Secrets of Devices that came over HTTP (D2).

It never reads one. Each is owned by its Device, and dies with it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from cerebro.bridge.devices.registry import Registry
from cerebro.bridge.errors import ApiError
from cerebro.bridge.requests.routers import Login
from cerebro.bridge.secrets.making import make_secret
from cerebro.bridge.secrets.names import (
    Purpose,
    is_made_here,
    secret_name,
)
from cerebro.kube.client.errors import AlreadyExists, Conflict, NotFound
from cerebro.resources import Device
from cerebro.resources.naming import (
    ANNOTATION_ADDRESS,
    ANNOTATION_DEVICE,
    SECRET_TYPE_ROUTER,
    SECRET_TYPE_WIREGUARD,
)

_TRIES = 3


class DeviceSecrets:
    """The Secrets of one namespace's Devices."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        token = registry.settings.relay_token
        self._key = token.get_secret_value().encode()

    async def keep_login(self, device: Device, login: Login) -> None:
        """See that a Device logs in with these credentials, at its tunnel
        address and nowhere else.

        Changed ones get a Secret of a new name; the old one goes once the
        Device names the new one. Raises KubeError, ApiError.
        """

        for _ in range(_TRIES):
            name = await self._make_login(device, login)
            before = device.spec.api.credentials_secret_ref.name
            if before == name:
                return

            reference = {"credentialsSecretRef": {"name": name}}
            try:
                await self._registry.patch(
                    device, {"spec": {"api": reference}}
                )
            except Conflict:
                device = await self._registry.read_device(device.name)
                continue

            await self.drop(device, "router", before)
            return

        raise ApiError(
            503,
            "kubernetes_unavailable",
            f"the Device {device.name} keeps changing: try again",
        )

    async def make_preshared(self, device: Device, key: str) -> str:
        """Make the Secret with a preshared key; return its name."""
        name = secret_name(device, "preshared", self._key, key)
        await self._create(
            device,
            name,
            type=SECRET_TYPE_WIREGUARD,
            data={"presharedKey": key.encode()},
            annotations={ANNOTATION_DEVICE: device.name},
        )

        return name

    async def drop(self, device: Device, purpose: Purpose, name: str) -> None:
        """Delete a Secret of a Device if the bridge made it."""
        if not is_made_here(device.name, purpose, name):
            return

        with suppress(NotFound):
            await self._registry.api.delete_secret(
                self._registry.namespace, name
            )

    async def _make_login(self, device: Device, login: Login) -> str:
        address = device.tunnel_address or ""
        name = secret_name(
            device,
            "router",
            self._key,
            address,
            login.username,
            login.password,
        )

        data = {
            "username": login.username.encode(),
            "password": login.password.encode(),
        }

        await self._create(
            device,
            name,
            type=SECRET_TYPE_ROUTER,
            data=data,
            annotations={
                ANNOTATION_DEVICE: device.name,
                ANNOTATION_ADDRESS: address,
            },
        )

        return name

    async def _create(self, device: Device, name: str, **fields: Any) -> None:
        """Create a Secret. One of that name has the same content: its name
        says so.
        """
        with suppress(AlreadyExists):
            await make_secret(self._registry.api, device, name, **fields)

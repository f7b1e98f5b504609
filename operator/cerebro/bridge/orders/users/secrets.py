"""Makes and deletes the Secrets with the passwords of hotspot users (D2). It
never reads one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from contextlib import suppress

import structlog

from cerebro.bridge.secrets.making import make_secret
from cerebro.bridge.secrets.names import is_made_here, user_secret_name
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.resources import Device
from cerebro.resources.naming import (
    ANNOTATION_ADDRESS,
    ANNOTATION_DEVICE,
    SECRET_TYPE_ROUTER,
)

_SALT_BYTES = 4
_PASSWORD_DIGITS = 16

log = structlog.get_logger(__name__)


class UserSecrets:
    """The Secrets of one namespace's hotspot users."""

    def __init__(self, api: KubeApi, namespace: str, key: bytes) -> None:
        """`key` is that of names and of the passwords that are made here."""
        self._api = api
        self._namespace = namespace
        self._key = key

    def new_name(self, device: Device, user: str, password: str) -> str:
        """Return a name for a Secret with this content; each time another."""
        return user_secret_name(
            device,
            self._key,
            device.api_address or "",
            user,
            password,
            salt=secrets.token_hex(_SALT_BYTES),
        )

    def password_of(self, device: Device, user: str) -> str:
        """Return the password of a user whose caller names none: 16 hex, the
        same each time, so that it need not be kept.
        """
        array = json.dumps(["password", device.metadata.uid, user])
        digest = hmac.new(self._key, array.encode(), hashlib.sha256)

        return digest.hexdigest()[:_PASSWORD_DIGITS]

    async def make(
        self, device: Device, name: str, user: str, password: str
    ) -> None:
        """Create the Secret of a user. Raises KubeError."""
        await make_secret(
            self._api,
            device,
            name,
            type=SECRET_TYPE_ROUTER,
            data={"username": user.encode(), "password": password.encode()},
            annotations={
                ANNOTATION_DEVICE: device.name,
                ANNOTATION_ADDRESS: device.api_address or "",
            },
        )

    async def drop(self, device: str, name: str) -> None:
        """Delete a Secret if it was made here for a user on that Device.

        Raises KubeError.
        """
        if not is_made_here(device, "user", name):
            return

        with suppress(NotFound):
            await self._api.delete_secret(self._namespace, name)

    async def try_to_drop(self, device: str, name: str) -> None:
        """Delete a Secret that was made for nothing, if that can be done now:
        it dies with its Device at the latest.
        """
        try:
            await self.drop(device, name)
        except KubeError as error:
            log.warning(
                "a Secret that nothing names stays until its Device goes",
                secret=name,
                device=device,
                error=str(error),
            )

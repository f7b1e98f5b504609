"""With what the loop of a Device logs in for its daily work: the technical
user once a login with it has worked, else nothing of its own.
"""

from __future__ import annotations

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.resources import Device
from cerebro.resources.naming import came_over_http
from cerebro.routeros.client.credentials import (
    RouterCredentials,
    router_credentials,
)
from cerebro.routeros.client.errors import SecretError


class TechnicalLogin:
    """What is known of the technical user of one router."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._worked: str | None = None
        self.refusal: str | None = None
        """Why the router refused the technical user at the last try."""

    async def attempts(self, device: Device) -> list[tuple[str, str]]:
        """Return pairs of user and password; none while the credentials are
        to be used.

        With manageConfig they are: what is written then needs more rights.
        """
        user = device.spec.technical_user
        if user is None or device.spec.manage_config or self.refusal:
            return []

        applied = device.status.technical_user
        recorded = None if applied is None else applied.name

        if user.name not in (self._worked, recorded):
            return []

        try:
            _, credentials = await self.read(device)
        except SecretError:
            return []

        return credentials.attempts

    async def read(self, device: Device) -> tuple[str, RouterCredentials]:
        """Return the version of the Secret, and what it has.

        Raises SecretError.
        """
        user = device.spec.technical_user
        if user is None:
            raise SecretError("spec.technicalUser is empty")

        name = user.password_secret_ref.name
        where = f"Secret {name} (spec.technicalUser.passwordSecretRef)"

        try:
            secret = await self._api.get_secret(device.namespace, name)
        except KubeError as error:
            raise SecretError(f"{where} could not be read: {error}") from None

        credentials = router_credentials(
            secret,
            device=device.name,
            address=device.api_address or "",
            must_name_device=came_over_http(device),
            username=user.name,
        )

        return secret.resource_version, credentials

    def refused(self, message: str) -> None:
        """Note that the router refused the technical user."""
        self.refusal = message

    def worked(self, name: str) -> None:
        """Note that a login with the technical user of this name worked."""
        self._worked = name
        self.refusal = None

    def forget(self) -> None:
        """Use the credentials until a login is seen to work again."""
        self._worked = None
        self.refusal = "it is not kept"

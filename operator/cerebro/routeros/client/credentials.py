"""Router credentials out of a Kubernetes Secret, and the check that it may be used (rules B7, D2). No I/O."""

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cerebro.resources import API_GROUP
from cerebro.routeros.client.errors import SecretError

SECRET_TYPE = f"{API_GROUP}/router"
DEVICE_ANNOTATION = f"{API_GROUP}/device"
ADDRESS_ANNOTATION = f"{API_GROUP}/address"


@dataclass(frozen=True, slots=True)
class RouterCredentials:
    """User and passwords of a router; none of the passwords is ever shown."""

    username: str
    password: str = field(repr=False)
    previous_password: str | None = field(default=None, repr=False)

    @property
    def attempts(self) -> list[tuple[str, str]]:
        """Pairs of user and password in the order in which to try them (B7: a rotation cut in half heals)."""
        passwords = [self.password]
        if self.previous_password is not None and self.previous_password != self.password:
            passwords.append(self.previous_password)
        return [(self.username, password) for password in passwords]


def router_credentials(secret: Mapping[str, Any], *, device: str, address: str) -> RouterCredentials:
    """Credentials from a Secret as the API server gives it (`data` in base64).

    `device` is the Device's name, `address` the one that will be dialled: both must be those that the
    Secret's annotations name, where they name one (D2). Raises SecretError: which Secret, and what to change.
    """
    metadata = secret.get("metadata") or {}
    name = f"Secret {metadata.get('name', '')}"
    if secret.get("type") != SECRET_TYPE:
        raise SecretError(f"{name} is of type {secret.get('type')!r}: make it anew with type {SECRET_TYPE}")
    annotations = metadata.get("annotations") or {}
    _check(name, annotations, DEVICE_ANNOTATION, device)
    _check(name, annotations, ADDRESS_ANNOTATION, address)
    data = secret.get("data") or {}
    for key in ("username", "password"):
        if key not in data:
            raise SecretError(f"{name} has no key {key}: add it")
    username = _text(name, data, "username")
    if not username:
        raise SecretError(f"{name}: username is empty")
    previous = _text(name, data, "previousPassword") if "previousPassword" in data else None
    return RouterCredentials(username, _text(name, data, "password"), previous)


def _check(name: str, annotations: Mapping[str, str], annotation: str, actual: str) -> None:
    wanted = annotations.get(annotation)
    if wanted and _normal(wanted) != _normal(actual):
        raise SecretError(
            f"{name} is for {wanted!r} only (annotation {annotation}), not for {actual!r}: "
            "use the Secret made for this Device, or change the annotation"
        )


def _normal(text: str) -> str:
    """An IP address in its one spelling; anything else in lower case, as DNS and Kubernetes names are."""
    try:
        return str(ipaddress.ip_address(text.strip("[] ")))
    except ValueError:
        return text.strip().lower()


def _text(name: str, data: Mapping[str, str], key: str) -> str:
    try:
        return base64.b64decode(data[key], validate=True).decode("utf-8", "surrogateescape")
    except (binascii.Error, TypeError, ValueError):
        raise SecretError(f"{name}: the value of {key} is not base64") from None

"""Router credentials out of a Kubernetes Secret, and the check that the Secret
may be used (rules B7, D2).

No I/O: the caller reads the Secret and hands it in with its values decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cerebro.resources import API_GROUP
from cerebro.resources.addresses import same_host
from cerebro.resources.naming import SECRET_TYPE_ROUTER
from cerebro.routeros.client.errors import SecretError

DEVICE_ANNOTATION = f"{API_GROUP}/device"
ADDRESS_ANNOTATION = f"{API_GROUP}/address"


class SecretContent(Protocol):
    """A Secret as it was read: its values are bytes, no longer base64."""

    @property
    def name(self) -> str:
        """Return `metadata.name`."""

    @property
    def type(self) -> str:
        """Return the Secret's type."""

    @property
    def annotations(self) -> Mapping[str, str]:
        """Return `metadata.annotations`."""

    @property
    def data(self) -> Mapping[str, bytes]:
        """Return the values by key."""


@dataclass(frozen=True, slots=True)
class RouterCredentials:
    """User and passwords of a router; none of the passwords is ever shown."""

    username: str
    password: str = field(repr=False)
    previous_password: str | None = field(default=None, repr=False)

    @property
    def attempts(self) -> list[tuple[str, str]]:
        """Pairs of user and password in the order in which to try them (B7: a
        rotation cut in half heals).
        """
        passwords = [self.password]
        previous = self.previous_password
        if previous is not None and previous != self.password:
            passwords.append(previous)

        return [(self.username, password) for password in passwords]


def router_credentials(
    secret: SecretContent,
    *,
    device: str,
    address: str,
    must_name_device: bool = False,
    username: str | None = None,
) -> RouterCredentials:
    """Return the credentials that a Secret of type `relay.cerebro.dev/router`
    has.

    `device` is the Device's name, `address` the address that will be dialled:
    where the Secret's annotations name a device or an address, it must be that
    one (D2). `must_name_device`: an annotation has to name the Device, since
    somebody chose the Secret who may not read it. `username`: whose passwords they are, where something else than
    the Secret names the user. Keys are `username`, `password` and, during a rotation,
    `previousPassword`; a value that is no UTF-8 passes through byte for byte.
    Raises SecretError: which Secret, and what to change.
    """

    where = f"Secret {secret.name}"
    if secret.type != SECRET_TYPE_ROUTER:
        raise SecretError(
            f"{where} is of type {secret.type!r}: make it anew with type {SECRET_TYPE_ROUTER}"
        )

    if must_name_device and not secret.annotations.get(DEVICE_ANNOTATION):
        raise SecretError(
            f"{where} names no Device, and what uses it came over HTTP: give the Secret the annotation "
            f"{DEVICE_ANNOTATION}: {device}"
        )

    _check(where, secret.annotations, DEVICE_ANNOTATION, device)
    _check(where, secret.annotations, ADDRESS_ANNOTATION, address)

    needed = ("password",) if username else ("username", "password")
    for key in needed:
        if key not in secret.data:
            raise SecretError(f"{where} has no key {key}: add it")

    if username is None:
        username = _text(secret.data["username"])

    if not username:
        raise SecretError(f"{where}: username is empty")

    previous = secret.data.get("previousPassword")

    return RouterCredentials(
        username,
        _text(secret.data["password"]),
        None if previous is None else _text(previous),
    )


def _check(
    where: str, annotations: Mapping[str, str], annotation: str, actual: str
) -> None:
    """Raise SecretError if the annotation names something else than `actual`;
    an empty one names nothing.
    """
    named = annotations.get(annotation)
    if not named or same_host(named, actual):
        return

    raise SecretError(
        f"{where} is for {named!r} only (annotation {annotation}), not for {actual!r}: "
        "use the Secret made for this Device, or change the annotation"
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")

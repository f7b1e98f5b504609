"""The Secret of a DeviceCommand: values for its sentences, or other
credentials (rule D2).

It is made after the command, so the agent waits for it.
"""

from __future__ import annotations

import asyncio

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.kube.client.secrets import Secret
from cerebro.resources import DeviceCommand
from cerebro.resources.naming import ANNOTATION_DEVICE, SECRET_TYPE_COMMAND
from cerebro.routeros.client.errors import SecretError

_LOOK = 0.1
"""Seconds between two looks for a Secret."""


async def read_values(
    api: KubeApi, command: DeviceCommand, deadline: float
) -> dict[str, str]:
    """Return the values of a command's Secret by key; empty if it names none.

    `deadline` is in the event loop's time. Raises SecretError if the Secret is
    not there by then, or is not for this command's Device.
    """
    reference = command.spec.secret_ref

    if reference is None:
        return {}

    secret = await _wait_for(api, command, reference.name, deadline)
    check_purpose(secret, command)

    return {
        key: value.decode("utf-8", "surrogateescape")
        for key, value in secret.data.items()
    }


def check_purpose(secret: Secret, command: DeviceCommand) -> None:
    """Raise SecretError unless a Secret is one of commands, and for the Device
    of this one.
    """

    if secret.type != SECRET_TYPE_COMMAND:
        raise SecretError(
            f"Secret {secret.name} is of type {secret.type!r}: make it anew with type {SECRET_TYPE_COMMAND}"
        )

    device = command.spec.device_ref.name

    if secret.annotations.get(ANNOTATION_DEVICE) != device:
        raise SecretError(
            f"Secret {secret.name} is not for the Device {device}: its annotation {ANNOTATION_DEVICE} must name it"
        )


async def _wait_for(
    api: KubeApi, command: DeviceCommand, name: str, deadline: float
) -> Secret:
    loop = asyncio.get_running_loop()

    while True:
        try:
            return await api.get_secret(command.namespace, name)
        except NotFound:
            problem = (
                "does not exist: make it right after the command, owned by it"
            )
        except KubeError as error:
            problem = f"could not be read: {error}"

        if loop.time() + _LOOK >= deadline:
            raise SecretError(f"Secret {name} (spec.secretRef) {problem}")

        await asyncio.sleep(_LOOK)

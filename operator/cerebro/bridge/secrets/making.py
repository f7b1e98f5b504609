"""Makes a Secret for a Device. Whoever deletes it, at the latest it dies with
the Device, which owns it.
"""

from __future__ import annotations

from collections.abc import Mapping

from cerebro.kube.client.api import KubeApi
from cerebro.resources import GROUP_VERSION, Device, label_value
from cerebro.resources.naming import (
    LABEL_DEVICE,
    LABEL_MANAGED_BY,
    MANAGED_BY_BRIDGE,
)


async def make_secret(
    api: KubeApi,
    device: Device,
    name: str,
    *,
    type: str,  # noqa: A002 the field's own name
    data: Mapping[str, bytes],
    annotations: Mapping[str, str],
) -> None:
    """Create a Secret for a Device, in the Device's namespace.

    Raises AlreadyExists if its name is taken, and every other KubeError.
    """
    owner = {
        "apiVersion": GROUP_VERSION,
        "kind": "Device",
        "name": device.name,
        "uid": device.metadata.uid,
    }

    labels = {
        LABEL_MANAGED_BY: MANAGED_BY_BRIDGE,
        LABEL_DEVICE: label_value(device.name),
    }

    await api.create_secret(
        device.metadata.namespace,
        name,
        type=type,
        data=data,
        annotations=annotations,
        labels=labels,
        owner=owner,
    )

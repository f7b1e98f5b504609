"""A Secret as we use it, and its form on the API server. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cerebro.kube.client.errors import Invalid, Unavailable


@dataclass(frozen=True)
class Secret:
    """A Secret with its values decoded. Its repr shows no value."""

    namespace: str
    name: str
    uid: str
    type: str
    annotations: Mapping[str, str]
    data: Mapping[str, bytes] = field(repr=False)
    resource_version: str = ""
    """Changes with each change of the Secret."""

    def text(self, key: str) -> str | None:
        """Return one value as text, None if the Secret lacks it. Raises
        Invalid if it is not UTF-8.
        """
        value = self.data.get(key)
        if value is None:
            return None

        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise Invalid(
                f"Secret {self.namespace}/{self.name}: {key} is not UTF-8 text"
            ) from None


def secret_from(
    manifest: dict[str, Any], namespace: str, name: str, *, call: str
) -> Secret:
    """Read a v1 Secret. Raises Unavailable if its data is not base64; `call`
    names the request in the error.
    """
    try:
        data = {
            key: base64.b64decode(value)
            for key, value in (manifest.get("data") or {}).items()
        }
    except (binascii.Error, TypeError):
        raise Unavailable(f"{call}: its data is not base64") from None

    metadata = manifest["metadata"]

    return Secret(
        namespace=namespace,
        name=name,
        uid=metadata["uid"],
        type=manifest.get("type", ""),
        annotations=metadata.get("annotations") or {},
        data=data,
        resource_version=metadata.get("resourceVersion", ""),
    )


def secret_manifest(
    name: str,
    *,
    type: str,  # noqa: A002 the field's own name
    data: Mapping[str, bytes],
    annotations: Mapping[str, str],
    labels: Mapping[str, str],
    owner: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return a v1 Secret to be created; `owner` is an owner reference without
    blockOwnerDeletion (rule E6).
    """
    metadata: dict[str, Any] = {
        "name": name,
        "annotations": dict(annotations),
        "labels": dict(labels),
    }

    if owner is not None:
        metadata["ownerReferences"] = [owner]

    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": type,
        "data": {
            key: base64.b64encode(value).decode("ascii")
            for key, value in data.items()
        },
    }

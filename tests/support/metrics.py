"""Makes the bodies of objects that metrics are counted from."""

from __future__ import annotations

from typing import Any

from support.orders import IP, MAC, NAMESPACE

__all__ = ["NAMESPACE", "device_body", "session_body"]

CREATED = "2026-01-02T12:00:00Z"


def _metadata(name: str, version: int, created: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "generation": 1,
        "creationTimestamp": created,
    }


def device_body(
    name: str, router_id: str, *, version: int = 1, **status: Any
) -> dict[str, Any]:
    """A Device as the watch brings it."""
    return {
        "metadata": _metadata(name, version, CREATED),
        "spec": {
            "routerID": router_id,
            "api": {
                "address": "10.0.0.1",
                "allowPlaintext": True,
                "credentialsSecretRef": {"name": "router"},
            },
        },
        "status": status,
    }


def session_body(
    name: str,
    device: str,
    *,
    version: int = 1,
    created: str = CREATED,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A Session as the watch brings it."""
    return {
        "metadata": _metadata(name, version, created),
        "spec": {
            "deviceRef": {"name": device},
            "client": {"macAddress": MAC, "ipAddress": IP},
            **spec,
        },
        "status": status or {},
    }

"""Objects as the API server would send them."""

from typing import Any

NAMESPACE = "ns"


def session(
    name: str, uid: str, version: int, *, device: str = "router-1", **spec: Any
) -> dict[str, Any]:
    """A Session, by default of MAC AA:BB:CC:DD:EE:FF."""
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Session",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": uid,
            "resourceVersion": str(version),
        },
        "spec": {
            "deviceRef": {"name": device},
            "client": {"macAddress": "AA:BB:CC:DD:EE:FF"},
            **spec,
        },
    }


def going(body: dict[str, Any]) -> dict[str, Any]:
    """The same object, deleted, while it waits for somebody's finalizer."""
    meta = {
        **body["metadata"],
        "deletionTimestamp": "2026-05-01T00:00:00Z",
        "finalizers": ["a/b"],
    }
    return {**body, "metadata": meta}

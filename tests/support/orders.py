"""Makes the objects that the tests of the bridge are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cerebro.bridge.intents import Authorize, Client, Revoke
from cerebro.bridge.orders.writes import Create, Keep, Patch, Write
from cerebro.resources import Device, Session, format_time

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
NAMESPACE = "test"
MAC = "AA:BB:CC:DD:EE:01"
MAC_2 = "AA:BB:CC:DD:EE:02"
IP = "10.5.50.10"
PHONE = Client(mac=MAC, ip=IP)


def at(seconds: float) -> datetime:
    """A time relative to NOW."""
    return NOW + timedelta(seconds=seconds)


def device(
    name: str = "router-1",
    router_id: str | None = None,
    created: float = -1000,
) -> Device:
    return Device.model_validate(
        {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "creationTimestamp": format_time(at(created)),
            },
            "spec": {
                "routerID": router_id,
                "api": {
                    "address": "10.0.0.1",
                    "allowPlaintext": True,
                    "credentialsSecretRef": {"name": "router"},
                },
            },
        }
    )


def order(
    order_id: str | None = "P-1", asked: float = 0, **fields: Any
) -> Authorize:
    return Authorize(
        order_id=order_id,
        requested_at=at(asked),
        mik_id="router-1",
        client=PHONE,
        **fields,
    )


def revoke(
    order_id: str | None = None, asked: float = 0, client: Client = PHONE
) -> Revoke:
    return Revoke(
        order_id=order_id,
        requested_at=at(asked),
        mik_id="router-1",
        client=client,
    )


def session(body: dict[str, Any], **status: Any) -> Session:
    """An object as the API server would have it."""
    metadata = {
        "generation": 1,
        "resourceVersion": "7",
        "creationTimestamp": format_time(NOW),
    }
    return Session.model_validate(
        {
            **body,
            "metadata": {**metadata, **body["metadata"]},
            "status": status or {},
        }
    )


def by_hand(name: str = "by-hand", **spec: Any) -> Session:
    """A Session that a person made."""
    fields = {
        "deviceRef": {"name": "router-1"},
        "client": {"macAddress": MAC},
        **spec,
    }
    return session(
        {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": fields}
    )


def apply(write: Write, sessions: dict[str, Session]) -> None:
    """Do to the sessions what the API server would do."""
    if isinstance(write, Create):
        assert write.name not in sessions
        sessions[write.name] = session(dict(write.body))
    elif isinstance(write, Patch):
        old = sessions[write.name]
        spec = merge(old.spec.wire(), write.body["spec"])
        noted = write.body["metadata"].get("annotations", {})
        annotations = merge(dict(old.metadata.annotations), noted)
        sessions[write.name] = old.model_copy(
            update={
                "spec": type(old.spec).model_validate(spec),
                "metadata": old.metadata.model_copy(
                    update={
                        "generation": old.metadata.generation + 1,
                        "annotations": annotations,
                    }
                ),
            }
        )
    else:
        assert isinstance(write, Keep)


def merge(old: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A JSON merge patch."""
    merged = dict(old)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge(merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


BAD_BODIES = [
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b"[" * 60_000,
    b'{"a":' * 10_000,
    b"{'a': 1}",
    b'{"a": 1} x',
    b'{"a": "\\ud83d"}',
    b'{"a": {"\\uD83D": 1}}',
    b'{"a": 1, "a": 2}',
    b'{"a": [{"b": 1, "b": 1}]}',
    b'{"a": 1e400}',
    b'{"a": ' + b"9" * 5_000 + b"}",
]
"""Bodies that are no JSON object, or that two readers would read differently."""

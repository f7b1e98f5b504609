"""Which object an object names, also where our models cannot read it (rule
B9). Pure.

The only place that reads a reference out of the raw body of a frozen object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cerebro.kube.objects import StoredObject
from cerebro.resources import Device, DeviceCommand, Peer, Session


def device_of(stored: StoredObject) -> str | None:
    """Return the name of the Device that a Session or DeviceCommand is for;
    None if it does not name one legibly.
    """
    model = stored.model
    if isinstance(model, Session | DeviceCommand):
        return model.spec.device_ref.name

    return _raw_reference(stored.raw, "deviceRef")


def hub_of(stored: StoredObject) -> str | None:
    """Return the name of the Hub that a Peer or Device is on; None if it does
    not name one legibly.
    """
    model = stored.model
    if isinstance(model, Peer | Device):
        return (
            model.spec.hub_ref.name if model.spec.hub_ref is not None else None
        )

    return _raw_reference(stored.raw, "hubRef")


def superseded_by(stored: StoredObject) -> str | None:
    """Return the name of the Session in whose place a Session stands; None if
    it stands in place of none.
    """
    session = stored.read(Session)
    if session is not None:
        return (
            session.spec.supersedes.name if session.spec.supersedes else None
        )

    return _raw_reference(stored.raw, "supersedes")


def _raw_reference(
    raw: Mapping[str, Any] | None, reference: str
) -> str | None:
    """Return `spec.<reference>.name` of the body of an object; None where that
    is no text.
    """
    spec = (raw or {}).get("spec")
    named = spec.get(reference) if isinstance(spec, Mapping) else None
    name = named.get("name") if isinstance(named, Mapping) else None

    return name if isinstance(name, str) else None

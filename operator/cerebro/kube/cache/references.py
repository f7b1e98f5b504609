"""Which object another one names, also when our models cannot read it."""

from __future__ import annotations

from cerebro.kube.objects import StoredObject
from cerebro.resources import Peer, Session


def device_of(stored: StoredObject) -> str | None:
    """Return the name of the Device that a Session is for, also of one that our model cannot read."""
    session = stored.read(Session)
    if session is not None:
        return session.spec.device_ref.name
    return _name_in(stored, "deviceRef")


def hub_of(stored: StoredObject) -> str | None:
    """Return the name of the Hub that a Peer is on; None for one that does not say it legibly."""
    peer = stored.read(Peer)
    if peer is not None:
        return peer.spec.hub_ref.name
    return _name_in(stored, "hubRef")


def _name_in(stored: StoredObject, reference: str) -> str | None:
    spec = (stored.raw or {}).get("spec")
    said = spec.get(reference) if isinstance(spec, dict) else None
    name = said.get("name") if isinstance(said, dict) else None
    return name if isinstance(name, str) else None


def superseded_by(stored: StoredObject) -> str | None:
    """Return the name of the Session in whose place a Session stands, if any; also of one that our model
    cannot read.
    """
    session = stored.read(Session)
    if session is not None:
        return session.spec.supersedes.name if session.spec.supersedes else None
    return _name_in(stored, "supersedes")

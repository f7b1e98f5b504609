"""Writes on Sessions, as data: what the decisions give and `sessions.py` carries out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.intents import Client
from cerebro.domain.lifecycle import end_of
from cerebro.domain.supersession import is_ours
from cerebro.resources import (
    GROUP_VERSION,
    Reference,
    Session,
    SessionClient,
    SessionSpec,
    format_time,
    supersession_name,
)
from cerebro.resources.naming import (
    ANNOTATION_TRACE_ID,
    LABEL_DEVICE,
    LABEL_MANAGED_BY,
    LABEL_ORDER,
    MANAGED_BY_BRIDGE,
    label_value,
)

TTL_AFTER_FINISHED = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Create:
    """Make this Session; when it exists already, read it and decide again."""

    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Patch:
    """Change a Session of ours by a merge patch that holds only for the version it was decided on."""

    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Keep:
    """The Session is already as it should be: only wait for it."""

    session: Session

    @property
    def name(self) -> str:
        """Its name."""
        return self.session.name


Write = Create | Patch | Keep


def create_write(
    namespace: str,
    name: str,
    device: str,
    client: Client,
    *,
    trace_id: str = "",
    supersedes: str | None = None,
    **spec: Any,
) -> Create:
    """Make the manifest of a Session of ours; `spec` are further fields of SessionSpec.

    Raises ApiError 400 that names the field for what no Session can have: a further try would end the same way.
    """
    try:
        fields = SessionSpec(
            device_ref=Reference(name=device),
            client=SessionClient(mac_address=client.mac, ip_address=client.ip),
            supersedes=Reference(name=supersedes) if supersedes else None,
            ttl_after_finished=None if supersedes else TTL_AFTER_FINISHED,
            **spec,
        )
    except ValidationError as error:
        raise _unfit(error) from None
    labels = {LABEL_MANAGED_BY: MANAGED_BY_BRIDGE, LABEL_DEVICE: label_value(device)}
    if fields.order_id:
        labels[LABEL_ORDER] = label_value(fields.order_id)
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": labels}
    if trace_id:
        metadata["annotations"] = {ANNOTATION_TRACE_ID: trace_id}
    return Create(
        name,
        {"apiVersion": GROUP_VERSION, "kind": "Session", "metadata": metadata, "spec": fields.wire()},
    )


def _unfit(error: ValidationError) -> ApiError:
    fault = error.errors()[0]
    names = [str(part) for part in fault["loc"]]
    names = [field.alias or name if (field := SessionSpec.model_fields.get(name)) else name for name in names]
    return invalid(f"no Session can be made of this: {'.'.join(names) or error.title}: {fault['msg']}")


def patch_write(session: Session, spec: Mapping[str, Any], *, trace_id: str = "") -> Patch:
    """Make a merge patch of a Session's spec under wire names; None removes a field."""
    metadata: dict[str, Any] = {"resourceVersion": session.metadata.resource_version}
    if trace_id:
        metadata["annotations"] = {ANNOTATION_TRACE_ID: trace_id}
    return Patch(session.name, {"metadata": metadata, "spec": dict(spec)})


def revoke_write(session: Session, when: datetime, *, trace_id: str = "") -> Write:
    """Revoke a Session: ours by a patch, somebody else's by one of ours that supersedes it (A10).

    That one gets the original end too: opened again, it must not last longer.
    """
    spec, meta = session.spec, session.metadata
    if spec.revoked:
        return Keep(session)
    if is_ours(session):
        return patch_write(session, {"revoked": True, "revokedAt": format_time(when)}, trace_id=trace_id)
    return create_write(
        meta.namespace,
        supersession_name(meta.namespace, spec.device_ref.name, spec.type, session.name),
        spec.device_ref.name,
        Client(mac=spec.client.mac_address, ip=spec.client.ip_address),
        trace_id=trace_id,
        supersedes=session.name,
        type=spec.type,
        order_id=spec.order_id,
        revoked=True,
        revoked_at=when,
        requested_at=when,
        **known_end(session),
    )


def known_end(session: Session) -> dict[str, Any]:
    """Give the end of a Session as fields of another one that stands in its place: the instant where it is
    known."""
    moment = end_of(session)
    return {"expires_at": moment} if moment is not None else {"duration": session.spec.duration}


def moved_client(session: Session, client: Client) -> dict[str, str | None] | None:
    """Give the patch of `spec.client` that makes it this client; None when it is this client already.

    A MAC that is the same with no address given says nothing new, nor does the address that the Session's MAC
    is known at.
    """
    spec = session.spec.client
    applied = session.placed.ip_address if session.placed else None
    if client.mac is None:
        if client.ip is None or client.ip in (spec.ip_address, applied):
            return None
        return {"macAddress": None, "ipAddress": client.ip}
    if client.mac == spec.mac_address and client.ip in (None, spec.ip_address):
        return None
    return {"macAddress": client.mac, "ipAddress": client.ip}

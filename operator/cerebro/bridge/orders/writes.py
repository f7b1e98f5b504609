"""Writes on Sessions, as data: the decisions return them and `sessions.py`
carries them out. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from cerebro.bridge.errors import ApiError, invalid
from cerebro.bridge.intents import Cause, Client
from cerebro.bridge.orders.causes import (
    Annotations,
    noted_request,
    noted_revoke,
)
from cerebro.domain.lifecycle import is_ours, recorded_end
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
    LABEL_USER_SECRET,
    MANAGED_BY_BRIDGE,
    label_value,
)

TTL_AFTER_FINISHED = timedelta(hours=24)
"""How long the record of a Session of ours stays after its end is enforced."""

USER_SECRET_KEPT = "kept"  # noqa: S105 the value of a label
"""The value of LABEL_USER_SECRET."""


@dataclass(frozen=True, slots=True)
class Create:
    """Make this Session; if it exists already, read it and decide anew."""

    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Patch:
    """Change a Session of ours by a merge patch that holds only for the
    version it was decided on.
    """

    name: str
    body: Mapping[str, Any]

    noted_at: int | None = None
    """The generation that it was decided on, if it changes nothing for a
    router: then that one is waited for, and not the one that it makes.
    """


@dataclass(frozen=True, slots=True)
class Keep:
    """The Session is already as it should be: only wait for it."""

    session: Session

    @property
    def name(self) -> str:
        """The name of the Session."""
        return self.session.name


Write = Create | Patch | Keep


def create_write(
    namespace: str,
    name: str,
    device: str,
    client: Client,
    *,
    trace_id: str = "",
    annotations: Annotations | None = None,
    supersedes: str | None = None,
    **spec: Any,
) -> Create:
    """Return the write that makes a Session of ours; `spec` are further fields
    of SessionSpec, by their Python names. Annotations that are None are left
    out.

    A superseding Session has no ttl: the operator deletes it (A10). Raises
    ApiError 400 that names the field for a value that no Session can have: a
    further try would end the same way.
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

    labels = {
        LABEL_MANAGED_BY: MANAGED_BY_BRIDGE,
        LABEL_DEVICE: label_value(device),
    }
    if fields.order_id:
        labels[LABEL_ORDER] = label_value(fields.order_id)

    if fields.hotspot_user is not None:
        labels[LABEL_USER_SECRET] = USER_SECRET_KEPT

    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": labels,
    }
    notes = _annotations(trace_id, annotations)
    given = {name: note for name, note in notes.items() if note is not None}
    if given:
        metadata["annotations"] = given

    body = {
        "apiVersion": GROUP_VERSION,
        "kind": "Session",
        "metadata": metadata,
        "spec": fields.wire(),
    }

    return Create(name, body)


def _unfit(error: ValidationError) -> ApiError:
    """Return the error that names the first field which no Session can have,
    by its name on the wire.
    """
    fault = error.errors()[0]
    path = ".".join(_wire_name(str(part)) for part in fault["loc"])

    return invalid(
        f"no Session can be made of this: {path or error.title}: {fault['msg']}"
    )


def _wire_name(name: str) -> str:
    field = SessionSpec.model_fields.get(name)
    return name if field is None else field.alias or name


def _annotations(
    trace_id: str, annotations: Annotations | None
) -> Annotations:
    notes = dict(annotations or {})
    if trace_id:
        notes[ANNOTATION_TRACE_ID] = trace_id

    return notes


def patch_write(
    session: Session,
    spec: Mapping[str, Any],
    *,
    trace_id: str = "",
    annotations: Annotations | None = None,
) -> Patch:
    """Return a merge patch of a Session's spec, under wire names, and of its
    annotations; None as a value removes a field.

    It holds only for the version of the Session that was read. When a Session
    was asked for is the bridge's own note, and nothing to a router.
    """
    meta = session.metadata
    metadata: dict[str, Any] = {"resourceVersion": meta.resource_version}
    notes = _annotations(trace_id, annotations)
    if notes:
        metadata["annotations"] = notes

    if spec.get("hotspotUser") is not None:
        metadata["labels"] = {LABEL_USER_SECRET: USER_SECRET_KEPT}

    body = {"metadata": metadata, "spec": dict(spec)}
    is_note = spec.keys() == {"requestedAt"}

    return Patch(session.name, body, meta.generation if is_note else None)


def revoke_write(
    session: Session, cause: Cause, *, trace_id: str = ""
) -> Write:
    """Return the write that revokes a Session: ours by a patch, somebody
    else's by superseding it (A10).

    The superseding Session gets the original end too: opened again, it must
    not last longer.
    """
    spec, meta = session.spec, session.metadata
    if spec.revoked:
        return Keep(session)

    if is_ours(session):
        return patch_write(
            session,
            {"revoked": True, "revokedAt": format_time(cause.asked_at)},
            trace_id=trace_id,
            annotations=noted_revoke(cause),
        )

    return create_write(
        meta.namespace,
        supersession_name(
            meta.namespace, spec.device_ref.name, spec.type, session.name
        ),
        spec.device_ref.name,
        Client(mac=spec.client.mac_address, ip=spec.client.ip_address),
        trace_id=trace_id,
        annotations=noted_request(cause) | noted_revoke(cause),
        supersedes=session.name,
        type=spec.type,
        order_id=spec.order_id,
        revoked=True,
        revoked_at=cause.asked_at,
        requested_at=cause.asked_at,
        **known_end(session),
    )


def known_end(session: Session) -> dict[str, Any]:
    """Return the end of a Session as fields of SessionSpec for another one
    that stands in its place.

    It is the instant where that is known, else the duration.
    """
    ends_at = recorded_end(session)
    if ends_at is not None:
        return {"expires_at": ends_at}

    return {"duration": session.spec.duration}


def moved_client(
    session: Session, client: Client
) -> dict[str, str | None] | None:
    """Return the patch of `spec.client` that makes it this client, under wire
    names; None if it is this client.

    The same MAC without an address says nothing new, nor does the address at
    which the Session's MAC is known.
    """
    spec, placed = session.spec.client, session.placed
    if client.mac is not None:
        is_same = client.mac == spec.mac_address and client.ip in (
            None,
            spec.ip_address,
        )
    else:
        placed_ip = placed.ip_address if placed is not None else None
        is_same = client.ip in (None, spec.ip_address, placed_ip)

    return (
        None if is_same else {"macAddress": client.mac, "ipAddress": client.ip}
    )

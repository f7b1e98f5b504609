"""The record of a client's access: from two states of a Session to the records
that the change comes to. Pure.

An access is one client on one router, from the moment its entry was on the
router to the moment it was off again, both as the Session's status says. A
Session may give access several times: it is granted, revoked and granted
again, or its client moves to another phone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from cerebro.domain.lifecycle import is_current, is_ours
from cerebro.resources import Condition, Session, reasons
from cerebro.resources.naming import ANNOTATION_EVENT_ID, ANNOTATION_TRACE_ID
from cerebro.resources.session import SessionType

_ENDED_PHASES = ("Expired", "Revoked", "Failed")


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class Access(_Model):
    """One access: which client, by which Session, since when."""

    session_uid: str
    namespace: str
    session: str

    device: str
    router: str
    """The routerID of the Device, as the backend knows it."""

    order: str | None = None
    type: SessionType

    mac: str | None = None
    ip: str | None = None

    started_at: datetime
    """When the entry was on the router."""

    expires_at: datetime | None = None
    """When it ends by the clock, as far as that is known."""

    revoked: bool = False
    """Whether its end was asked for."""

    made_by: Literal["bridge", "other"]
    """Whether the Session came over the bridge."""

    supersedes: str | None = None
    """The name of the Session in whose place this one stands (A10): then both
    have a record of the same client.
    """

    trace_id: str | None = None
    event_id: str | None = None


class AccessRecord(_Model):
    """What is written of an access: at its begin, and once more at its end."""

    id: str
    """The same for begin and end, and for nothing else."""

    kind: Literal["grant", "end"]

    session_uid: str
    namespace: str
    session: str
    device: str
    router: str
    order: str | None
    type: SessionType
    mac: str | None
    ip: str | None

    started_at: Annotated[datetime, Field(alias="from")]
    ended_at: Annotated[datetime | None, Field(alias="until")]

    reason: str | None
    """Why it ended: Expired, Revoked, Failed, DeviceGone, Moved to another
    client, Deleted, or Ended where nobody saw why.
    """

    made_by: Literal["bridge", "other"]
    supersedes: str | None
    trace_id: str | None
    event_id: str | None

    def text(self) -> str:
        """Return the record as JSON on a line."""
        return self.model_dump_json(by_alias=True)

    @classmethod
    def of(
        cls,
        access: Access,
        ended_at: datetime | None = None,
        reason: str | None = None,
    ) -> AccessRecord:
        """Return the record of an access's begin, or with a time of its end."""
        milliseconds = round(access.started_at.timestamp() * 1000)
        fields = access.model_dump(
            exclude={"expires_at", "revoked", "started_at"}
        )

        return cls(
            id=f"{access.session_uid}/{milliseconds}",
            kind="grant" if ended_at is None else "end",
            started_at=access.started_at,
            ended_at=ended_at,
            reason=reason,
            **fields,
        )


class AccessState(_Model):
    """What was recorded of a Session by now."""

    access: Access | None = None
    """The access that its client has; None if it has none."""

    ended_at: datetime | None = None
    """When the last access ended; None if none did."""

    def text(self) -> str:
        """Return the state for the store; of equal states it is equal."""
        return self.model_dump_json(exclude_none=True)


NOTHING = AccessState()
"""The state of a Session that never gave access."""


class Followed(NamedTuple):
    """What a look at a Session comes to."""

    state: AccessState
    records: tuple[AccessRecord, ...] = ()


def follow(
    state: AccessState, session: Session, router: str, now: datetime
) -> Followed:
    """Return what is to be recorded of a Session as it is now, and the state
    after that.

    `router` is the routerID of its Device, `now` is aware. The same Session a
    second time comes to nothing.
    """
    enforced = session.status.condition("Enforced")
    is_enforced = enforced is not None and enforced.status == "True"

    # Of a Session whose Device is gone nobody can say that it is enforced.
    is_off = is_enforced or session.status.finished is True
    if session.status.phase in _ENDED_PHASES and is_off:
        return _ended(state, session, router, enforced, now)

    if session.status.phase == "Active" and is_enforced:
        return _granted(state, session, router, enforced, now)

    # It waits, or its end does: nothing comes or goes on the router.
    if state.access is None:
        return Followed(state)

    known = state.access.model_copy(update=_terms(session))

    return Followed(state.model_copy(update={"access": known}))


def follow_deleted(state: AccessState, now: datetime) -> Followed:
    """Return what is to be recorded of a Session that is gone.

    Its end is the one that its clock gave it, if that has passed; else it
    ended when it was seen to be gone.
    """
    access = state.access
    if access is None:
        return Followed(state)

    if access.expires_at is not None and access.expires_at <= now:
        return _closed(access, access.expires_at, "Expired")

    return _closed(access, now, "Revoked" if access.revoked else "Deleted")


def _ended(
    state: AccessState,
    session: Session,
    router: str,
    enforced: Condition | None,
    now: datetime,
) -> Followed:
    """Return the end of a Session that is off the router.

    Of one whose grant nobody saw both are recorded. Where an access was
    recorded before, nothing tells whether there was another one.
    """
    status = session.status
    until = status.finished_at or _since(enforced) or now
    access = state.access

    if access is not None:
        until = max(until, access.started_at)
        return _closed(access, until, _reason(session))

    if status.authorized_at is None or state.ended_at is not None:
        return Followed(state)

    unseen = _access_of(session, router, status.authorized_at)
    closed = _closed(unseen, max(until, unseen.started_at), _reason(session))

    return Followed(closed.state, (AccessRecord.of(unseen), *closed.records))


def _granted(
    state: AccessState,
    session: Session,
    router: str,
    enforced: Condition | None,
    now: datetime,
) -> Followed:
    """Return the grant of a Session that is on the router."""
    access = state.access
    if access is None:
        started_at = _started_at(state, session, enforced, now)
        granted = _access_of(session, router, started_at)

        return _opened(state.ended_at, granted)

    # Nobody saw its end, but it was granted again since.
    reopened_at = session.status.reopened_at
    if reopened_at is not None and reopened_at > access.started_at:
        return _replaced(
            access,
            _access_of(
                session, router, _latest(reopened_at, _since(enforced))
            ),
            ended_at=reopened_at,
            reason="Ended",
        )

    # Another phone is let in now, or the same one at another address.
    mac, ip = _client_of(session, access)
    if _differ(access.mac, mac) or _differ(access.ip, ip):
        changed_at = _since(enforced)
        if changed_at is None or changed_at <= access.started_at:
            changed_at = now

        return _replaced(
            access,
            _access_of(session, router, changed_at),
            ended_at=changed_at,
            reason="Moved",
        )

    known = access.model_copy(
        update={
            **_terms(session),
            "mac": mac or access.mac,
            "ip": ip or access.ip,
        }
    )

    return Followed(state.model_copy(update={"access": known}))


def _started_at(
    state: AccessState,
    session: Session,
    enforced: Condition | None,
    now: datetime,
) -> datetime:
    """Return since when a Session is on the router.

    `authorizedAt` is of the first time. After an end it is what says latest
    that the router was changed.
    """
    status = session.status
    first = status.authorized_at or _since(enforced) or now
    was_reopened = (
        status.reopened_at is not None and status.reopened_at > first
    )

    if state.ended_at is None and not was_reopened:
        return first

    # Two accesses of a Session must not begin at the same moment.
    latest = _latest(first, status.reopened_at, _since(enforced))
    if state.ended_at is not None and latest <= state.ended_at:
        return state.ended_at + timedelta(milliseconds=1)

    return latest


def _opened(ended_at: datetime | None, access: Access) -> Followed:
    state = AccessState(access=access, ended_at=ended_at)

    return Followed(state, (AccessRecord.of(access),))


def _closed(access: Access, ended_at: datetime, reason: str) -> Followed:
    record = AccessRecord.of(access, ended_at, reason)

    return Followed(AccessState(ended_at=ended_at), (record,))


def _replaced(
    former: Access, access: Access, *, ended_at: datetime, reason: str
) -> Followed:
    """Return the end of one access and the begin of the next."""
    closed = _closed(former, ended_at, reason)
    opened = _opened(ended_at, access)

    return Followed(opened.state, (*closed.records, *opened.records))


def _access_of(session: Session, router: str, started_at: datetime) -> Access:
    spec, metadata = session.spec, session.metadata
    mac, ip = _client_of(session, None)
    supersedes = spec.supersedes

    return Access(
        session_uid=metadata.uid,
        namespace=metadata.namespace,
        session=metadata.name,
        device=spec.device_ref.name,
        router=router,
        order=spec.order_id,
        type=spec.type,
        mac=mac,
        ip=ip,
        started_at=started_at,
        made_by="bridge" if is_ours(session) else "other",
        supersedes=supersedes.name if supersedes is not None else None,
        trace_id=metadata.annotations.get(ANNOTATION_TRACE_ID),
        event_id=metadata.annotations.get(ANNOTATION_EVENT_ID),
        **_terms(session),
    )


def _client_of(
    session: Session, access: Access | None
) -> tuple[str | None, str | None]:
    """Return MAC and address of the client that is on the router.

    What the router has counts. Where the status names nobody it is the client
    of the spec, if the status is of that spec.
    """
    applied, client = session.status.applied, session.spec.client
    if applied is not None:
        return applied.mac_address, applied.ip_address

    if access is not None and not is_current(session):
        return access.mac, access.ip

    return client.mac_address, client.ip_address


def _reason(session: Session) -> str:
    """Return why the access of an ended Session ended."""
    ready = session.status.condition("Ready")
    if ready is not None and ready.reason == reasons.DEVICE_GONE:
        return reasons.DEVICE_GONE

    return session.status.phase or "Ended"


def _terms(session: Session) -> dict[str, Any]:
    """Return what may change of an access while it lasts."""
    return {
        "expires_at": session.status.expires_at,
        "revoked": session.spec.revoked,
    }


def _differ(former: str | None, current: str | None) -> bool:
    """Return whether both are known and not the same."""
    return former is not None and current is not None and former != current


def _since(condition: Condition | None) -> datetime | None:
    return None if condition is None else condition.last_transition_time


def _latest(first: datetime, *others: datetime | None) -> datetime:
    times: Iterator[datetime] = (time for time in others if time is not None)

    return max(first, *times)

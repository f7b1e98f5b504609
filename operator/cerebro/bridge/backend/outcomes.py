"""What has come of an event, and the ACK that says so (F2, F3, A7). Pure.

An event has its final outcome once the router did it, or once nothing can make
the router do it any more: the Session ended, was deleted, or a later word about
it counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Client, Revoke
from cerebro.bridge.orders.outcomes import Awaited, WaitResult, judge
from cerebro.bridge.orders.sessions import Written
from cerebro.bridge.requests.events import RELEASE, REVOKE, TRIAL, refusal_of
from cerebro.bridge.store.entry import Entry
from cerebro.resources import Session

_ROUTER_OFFLINE = "RouterOffline"
"""The reason that an agent gives a Session whose Device has `whenOffline:
Reject` (F5).
"""
_ENDED_BY_ITSELF = ("Expired", "Failed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an ACK says of an event."""

    reason: str | None = None
    """Why it was not done, for programs; None if it was done."""

    error: str | None = None
    """The same for people."""

    dry_run: bool = False
    """Whether the Device is in dry run: it counts as done."""

    @property
    def ok(self) -> bool:
        """Whether the event was done."""
        return self.reason is None

    def payload(self) -> dict[str, Any]:
        """Return the result object of the ACK."""
        if self.reason is not None:
            return {"ok": False, "reason": self.reason, "error": self.error}

        return {"ok": True, "dryRun": True} if self.dry_run else {"ok": True}


DONE = Outcome()
_SUPERSEDED = Outcome(
    "superseded", "a later word about the client or the order counts"
)


def pending(why: str) -> Outcome:
    """Return what is told of an event that has no outcome yet (F3).

    `why` is for people: what it waits for.
    """
    return Outcome("pending", why)


def failed(error: Exception) -> Outcome:
    """Return the outcome of an event that could not be carried out."""
    if isinstance(error, ApiError):
        refusal = refusal_of(error)
        return Outcome(refusal.reason, refusal.error)

    return Outcome("internal_error", "an error of the bridge's: see its log")


def ack_body(event_id: str, outcome: Outcome) -> str:
    """Return the JSON of an ACK, as it is signed and sent.

    It has no blanks, as the old relay sent it; text that is not ASCII stays as
    it is.
    """
    ack = {
        "eventId": event_id,
        "ok": outcome.ok,
        "payload": outcome.payload(),
    }

    return json.dumps(ack, separators=(",", ":"), ensure_ascii=False)


class AwaitedSession(BaseModel):
    """A Session that an event waits for, at the generation that was written."""

    model_config = ConfigDict(frozen=True)

    name: str
    generation: int
    wanted: Awaited


class Awaits(BaseModel):
    """What the outcome of an event depends on; the store keeps it as text."""

    model_config = ConfigDict(frozen=True)

    type: str
    """The event's type, as the feed names it."""

    device: str
    """The name of the Device."""

    client: Client
    """Who was let in, or shut out."""

    router: str = ""
    """The routerID of the Device; empty in what an older release kept."""

    order: str | None = None
    trace_id: str = ""

    sessions: tuple[AwaitedSession, ...]

    def text(self) -> str:
        """Return it for the store."""
        return self.model_dump_json(exclude_none=True)


def awaits_of(entry: Entry, written: Written) -> Awaits:
    """Return what the event of an entry waits for, of what was written."""
    return Awaits(
        type=event_type(entry),
        device=written.device.name,
        client=written.client,
        router=written.device.router_id,
        order=getattr(entry.intent, "order_id", None),
        trace_id=entry.intent.trace_id,
        sessions=tuple(
            AwaitedSession(
                name=target.name,
                generation=target.generation,
                wanted=target.wanted,
            )
            for target in written.targets
        ),
    )


def event_type(entry: Entry) -> str:
    """Return the type of the event that an entry came from."""
    intent = entry.intent

    if isinstance(intent, Revoke):
        return REVOKE

    return TRIAL if getattr(intent, "type", "") == "Trial" else RELEASE


def read_awaits(text: str) -> Awaits | None:
    """Return what `Awaits.text` wrote; None of an event that is still in the
    inbox, or that a newer release wrote.
    """
    if not text:
        return None

    try:
        return Awaits.model_validate_json(text)
    except ValueError:
        return None


def outcome_of(
    session: Session | None, awaited: AwaitedSession, client: Client
) -> Outcome | None:
    """Return the final outcome that a Session shows; None while there is none.

    `session` is the Session as it is now, None if it was deleted.
    """
    if session is None:
        return Outcome(
            "session_deleted",
            f"the Session {awaited.name} was deleted meanwhile",
        )

    # What will not come any more is said at once.
    if _is_superseded(session, awaited, client):
        return _SUPERSEDED

    # What was there, and is over, was done.
    if _was_granted(session, awaited):
        return DONE

    try:
        result = judge(session, awaited.generation, awaited.wanted)
    except ApiError as error:
        return _if_final(session, awaited, error)

    if result is None:
        return None

    return Outcome(dry_run=result is WaitResult.DRY_RUN)


def _is_superseded(
    session: Session, awaited: AwaitedSession, client: Client
) -> bool:
    """Return whether the Session was changed since, so that what the event
    wanted will not come (F2).
    """
    if session.metadata.generation <= awaited.generation:
        return False

    # Revoked, or moved to another phone.
    if awaited.wanted is Awaited.GRANT:
        return session.spec.revoked or not client.is_in(session)

    # Opened again.
    return (
        not session.spec.revoked
        and session.status.phase not in _ENDED_BY_ITSELF
    )


def _was_granted(session: Session, awaited: AwaitedSession) -> bool:
    """Return whether a grant was there, and its time is over by now: nobody
    looked while it was there.
    """
    observed = session.status.observed_generation

    return (
        awaited.wanted is Awaited.GRANT
        and session.status.phase == "Expired"
        and session.status.authorized_at is not None
        and observed >= awaited.generation
    )


def _if_final(
    session: Session, awaited: AwaitedSession, error: ApiError
) -> Outcome | None:
    """Return the outcome that an error says, if it is no trouble that may
    pass.

    What is in the way of a live Session, such as a row made by hand or a
    paused Device, may be gone tomorrow.
    """
    is_over = session.status.phase in (*_ENDED_BY_ITSELF, "Revoked")

    if awaited.wanted is not Awaited.GRANT or not is_over:
        return None

    ready = session.status.condition("Ready")

    if ready is not None and ready.reason == _ROUTER_OFFLINE:
        return Outcome("peer_offline", error.text)

    return failed(error)

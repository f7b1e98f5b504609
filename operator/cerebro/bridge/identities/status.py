"""What is told of a customer's identity, or of a router (F8). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cerebro.bridge.identities.answers import (
    AppliedIdentity,
    IdentityStatusAnswer,
    LastSeen,
    OpsIdentity,
    PendingIdentity,
    PublicIdentity,
    RouterHealth,
)
from cerebro.bridge.identities.router_state import RouterState, router_state
from cerebro.bridge.intents import Authorize, Payment
from cerebro.bridge.store.base import TokenLocation
from cerebro.domain.lifecycle import recorded_end
from cerebro.resources import Device, Session, format_time

CustomerState = Literal["NO_PENDING_PAYMENT", "PENDING", "AUTHORIZED"]
_MESSAGE_CODES: dict[CustomerState, str] = {
    "NO_PENDING_PAYMENT": "awaiting_payment",
    "PENDING": "authorization_scheduled",
    "AUTHORIZED": "authorized",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a customer."""

    sid: str

    waiting: Sequence[Authorize]
    """Orders that wait for the customer's phone."""

    live: Sequence[Session]
    """The Sessions that want access now."""

    locations: Sequence[TokenLocation]
    """Where the phone was seen, the latest first."""

    device: Device | None
    """The customer's router, as far as it is known."""

    payment: Payment | None = None
    """The payment that was confirmed last, as long as it is kept."""

    @property
    def plan_id(self) -> str | None:
        """The plan that was paid for, if the payment named one."""
        return self.payment.plan_id if self.payment is not None else None

    @property
    def last_seen(self) -> TokenLocation | None:
        """Where the phone was seen last."""
        return self.locations[0] if self.locations else None

    @property
    def granted(self) -> Session | None:
        """The last of the live Sessions that is on its router."""
        granted = [one for one in self.live if _is_granted(one)]
        return granted[-1] if granted else None

    @property
    def ungranted(self) -> Session | None:
        """The last of the live Sessions that is not on its router yet."""
        pending = [one for one in self.live if not _is_granted(one)]
        return pending[-1] if pending else None


def customer_status(
    identity: Identity, now: datetime, *, for_operators: bool
) -> IdentityStatusAnswer:
    """Return how a customer's access is.

    Who has access is authorized, also while a further order waits.
    """
    router = router_state(identity.device, now) if identity.device else None
    state: CustomerState = "NO_PENDING_PAYMENT"
    if identity.granted is not None:
        state = "AUTHORIZED"
    elif identity.waiting or identity.ungranted is not None:
        state = "PENDING"

    # The time after which a router that is left alone is tried anew.
    is_cooling = state == "PENDING" and router is not None
    retry_in_ms = router.retry_in_ms if router and is_cooling else 0
    message_code = _MESSAGE_CODES[state]
    if retry_in_ms:
        message_code = "cooldown_active"

    session = identity.granted or identity.ungranted
    public = PublicIdentity(
        state=state,
        authorized=state == "AUTHORIZED",
        pending_authorization=state == "PENDING",
        retry_in_ms=retry_in_ms,
        message_code=message_code,
        expires_at=_end_shown(session, identity),
        plan_id=identity.plan_id,
        router_id=identity.device.router_id if identity.device else None,
        updated_at=_millis(now),
    )

    return IdentityStatusAnswer(
        ok=True,
        sid=identity.sid,
        state=state,
        retry_in_ms=retry_in_ms,
        message_code=message_code,
        public=public,
        ops=_ops(identity, router) if for_operators else None,
    )


def router_status(
    sid: str, device: Device, now: datetime
) -> IdentityStatusAnswer:
    """Return how a router is, in the shape of a customer's status: dashboards
    ask for it by the router's identifier (F8).
    """
    router = router_state(device, now)
    public = PublicIdentity(
        state=router.state,
        authorized=router.state == "OK",
        pending_authorization=False,
        retry_in_ms=router.retry_in_ms,
        message_code=router.message_code,
        expires_at=None,
        plan_id=None,
        router_id=device.router_id,
        updated_at=_millis(now),
    )

    return IdentityStatusAnswer(
        ok=router.online,
        sid=sid,
        state=router.state,
        retry_in_ms=router.retry_in_ms,
        message_code=router.message_code,
        public=public,
        ops=None,
    )


def _ops(identity: Identity, router: RouterState | None) -> OpsIdentity:
    """Return what operators see besides."""
    health: RouterHealth | None = None
    if identity.device is not None and router is not None:
        circuit = identity.device.status.circuit
        until = circuit.open_until if circuit else None
        health = RouterHealth(
            router_id=identity.device.router_id,
            state=router.state,
            last_err_code=None if router.online else router.message_code,
            consecutive_fails=None,
            open_until=format_time(until) if until else None,
            next_retry_at=format_time(until) if until else None,
        )

    return OpsIdentity(
        pending=_pending(identity),
        last_seen=_last_seen(identity.last_seen),
        applied=_applied(identity),
        router_health=health,
    )


def _pending(identity: Identity) -> PendingIdentity | None:
    session = identity.ungranted
    if session is None and not identity.waiting:
        return None

    order_id = (
        session.spec.order_id if session else identity.waiting[-1].order_id
    )

    return PendingIdentity(
        status="PENDING",
        pedido_id=order_id,
        plan_id=identity.plan_id,
        router_id=identity.device.router_id if identity.device else None,
        attempts=0,
        fail_code=None,
        failed_at=None,
        next_eligible_at=None,
        expires_at=_end_shown(session, identity),
    )


def _last_seen(place: TokenLocation | None) -> LastSeen | None:
    if place is None:
        return None

    return LastSeen(
        ip=place.client.ip,
        mac=place.client.mac,
        identity=place.mik_id,
        router_hint=place.mik_id,
        ts=place.said_at,
    )


def _applied(identity: Identity) -> AppliedIdentity | None:
    session = identity.granted
    if session is None or identity.device is None:
        return None

    router_id = identity.device.router_id
    keys = [
        f"{router_id}:{one.spec.order_id or ''}:AUTHORIZE"
        for one in identity.live
        if _is_granted(one)
    ]
    applied_at = session.status.authorized_at

    return AppliedIdentity(
        last_action_key=keys[-1],
        last_applied_at=format_time(applied_at) if applied_at else None,
        recent_keys=keys,
    )


def _is_granted(session: Session) -> bool:
    """Return whether the router has a Session, by its status."""
    enforced = session.status.condition("Enforced")
    return (
        session.status.phase == "Active"
        and enforced is not None
        and enforced.status == "True"
    )


def _end_of(session: Session | None) -> str | None:
    end = recorded_end(session) if session is not None else None
    return format_time(end) if end is not None else None


def _end_shown(session: Session | None, identity: Identity) -> str | None:
    """Return the end of a customer's Session; without one, the end that the
    last of the waiting orders names.
    """
    if session is not None or not identity.waiting:
        return _end_of(session)

    end = identity.waiting[-1].expires_at

    return format_time(end) if end is not None else None


def _millis(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

"""Sessions that callers name themselves: made before they have access, then
authorized, revoked and looked at by their name.

Such a session is an order named `session:<name>` (A1), and a device token of
that name, which says where the phone is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from cerebro.bridge.answers import Answer, is_none
from cerebro.bridge.errors import ApiError, starting
from cerebro.bridge.intents import Authorize, Client, Hello, Revoke
from cerebro.bridge.orders.service import OrderService
from cerebro.bridge.requests.orders import session_order
from cerebro.bridge.store.base import TokenLocation, milliseconds
from cerebro.domain.lifecycle import recorded_end, session_facts
from cerebro.kube.client.errors import KubeError
from cerebro.resources import Session
from cerebro.resources.naming import SESSION_PLACE

MAX_LISTED = 1000
"""Sessions that a list has at most."""

Status = Literal["pending", "authorized", "revoked", "expired", "failed"]


class NamedSession(Answer):
    """A session under its caller's name. Times are milliseconds since 1970."""

    session_id: str
    ip: str | None
    mac: str | None
    router: str | None
    identity: str | None
    status: Status
    created_at: int | None
    updated_at: int | None
    expires_at: int | None
    plan_id: None = None
    pedido_id: None = None
    plano: None = None
    active: bool = Field(
        description="Whether it has access, and the router does not miss its client."
    )
    last_mikrotik_result: None = None
    authorized_at: int | None = Field(default=None, exclude_if=is_none)
    revoked_at: int | None = Field(default=None, exclude_if=is_none)


class SessionAnswer(Answer):
    """A session, as it is after what was asked."""

    ok: Literal[True] = True
    session: NamedSession
    idempotent: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="True if it was so before, else absent.",
    )


class StartedAnswer(Answer):
    """A session has a name and a place."""

    ok: Literal[True] = True
    session_id: str


class ActiveSessionsAnswer(Answer):
    """The sessions that have access, or wait for it."""

    ok: Literal[True] = True
    sessions: list[NamedSession] = Field(
        description=f"At most {MAX_LISTED} of them."
    )


@dataclass(frozen=True, slots=True)
class NamedSessions:
    """What the endpoints of sessions call."""

    orders: OrderService

    async def start(self, name: str, hello: Hello) -> StartedAnswer:
        """Note where the phone of a new session is.

        Raises ApiError 409 `session_exists`, 400 `mikId_required`, 404 for an
        unknown router.
        """
        self._must_know_all()
        if await self._find(name) is not None:
            raise ApiError(
                409, "session_exists", "a session of this sessionId exists"
            )

        mik_id = hello.mik_id or self._only_router()
        await self.orders.hello(hello.model_copy(update={"mik_id": mik_id}))

        return StartedAnswer(session_id=name)

    async def authorize(
        self, name: str, order: Authorize, arrived: float
    ) -> SessionAnswer:
        """Let the phone of a session in; return the session as it then is.

        Raises ApiError 404 `session_not_found`, and what an order raises.
        """
        before = await self.get(name)
        placed = order.model_copy(update={"mik_id": before.router})
        await self.orders.grant(placed, arrived)

        return SessionAnswer(
            session=await self.get(name),
            idempotent=True if before.status == "authorized" else None,
        )

    async def revoke(
        self, name: str, revoke: Revoke, arrived: float
    ) -> SessionAnswer:
        """End the access of a session; return the session as it then is.

        Raises ApiError 404 `session_not_found`, and what a revoke raises.
        """
        before = await self.get(name)
        placed = revoke.model_copy(update={"mik_id": before.router})
        await self.orders.revoke(placed, arrived)

        after = await self._find(name) or before
        revoked = after.model_copy(update={"status": "revoked"})

        return SessionAnswer(
            session=revoked if after.status == "pending" else after,
            idempotent=True if before.status == "revoked" else None,
        )

    async def get(self, name: str) -> NamedSession:
        """Return a session.

        Raises ApiError 404 `session_not_found`.
        """
        self._must_know_all()
        session = await self._find(name)
        if session is None:
            raise ApiError(
                404,
                "session_not_found",
                "no session of this sessionId: start it with /session/start",
            )

        return session

    def active(self) -> ActiveSessionsAnswer:
        """Return the sessions of callers that have access or wait for it."""
        self._must_know_all()
        sessions = self.orders.sessions.named_by_callers(MAX_LISTED)

        return ActiveSessionsAnswer(
            sessions=[self._shown(one) for one in sessions]
        )

    async def _find(self, name: str) -> NamedSession | None:
        """Return a session, from the watch, the API server, or the place that
        was noted for it; None if nothing is known of it.
        """
        place = session_order(name)
        sessions = self.orders.sessions
        known = sessions.of_order(place)
        if known:
            return self._shown(known[-1])

        # A finished Session has left the watch.
        for object_name in await self.orders.store.names_of_order(place):
            ended = await self._read(object_name)
            if ended is not None:
                return self._shown(ended)

        locations = await self.orders.store.locations_of(place)

        return _pending(name, locations) if locations else None

    async def _read(self, object_name: str) -> Session | None:
        """Read a Session from the API server.

        Raises ApiError 503 if that does not answer.
        """
        try:
            return await self.orders.sessions.read(object_name)
        except KubeError as error:
            raise ApiError(
                503,
                "kubernetes_unavailable",
                f"the API server did not say: {error}",
            ) from None

    def _shown(self, session: Session) -> NamedSession:
        device = self.orders.sessions.device_named(
            session.spec.device_ref.name
        )

        return shown(
            session,
            device.router_id if device else session.spec.device_ref.name,
            datetime.now(UTC),
        )

    def _only_router(self) -> str:
        devices = self.orders.sessions.devices()
        if len(devices) != 1:
            raise ApiError(
                400,
                "mikId_required",
                "router required: there are several, or none",
            )

        return devices[0].router_id

    def _must_know_all(self) -> None:
        if not self.orders.sessions.complete():
            raise starting()


def shown(session: Session, router_id: str, now: datetime) -> NamedSession:
    """Return what a caller sees of its session. Pure."""
    spec, status = session.spec, session.status
    client = Client.of(session)
    state = status_of(session, now)
    order_id = spec.order_id or ""
    end = recorded_end(session)

    return NamedSession(
        session_id=order_id.removeprefix(SESSION_PLACE),
        ip=client.ip,
        mac=client.mac,
        router=router_id,
        identity=router_id,
        status=state,
        created_at=_ms(session.metadata.creation_timestamp),
        updated_at=_ms(
            spec.revoked_at or status.authorized_at or spec.requested_at
        ),
        expires_at=_ms(end),
        active=state == "authorized" and status.client_seen is not False,
        authorized_at=_ms(status.authorized_at),
        revoked_at=_ms(spec.revoked_at) if state == "revoked" else None,
    )


def status_of(session: Session, now: datetime) -> Status:
    """Return the old relay's word for how a session is. Pure."""
    facts = session_facts(session, now)
    if facts.ended_as == "Revoked":
        return "revoked"

    if facts.ended_as == "Expired":
        return "expired"

    if not facts.live:
        return "failed"

    enforced = session.status.condition("Enforced")
    is_granted = (
        session.status.phase == "Active"
        and enforced is not None
        and enforced.status == "True"
    )

    return "authorized" if is_granted else "pending"


def _pending(name: str, locations: Sequence[TokenLocation]) -> NamedSession:
    """Return a session that has a place, and was not authorized yet."""
    place = locations[0]
    return NamedSession(
        session_id=name,
        ip=place.client.ip,
        mac=place.client.mac,
        router=place.mik_id,
        identity=place.mik_id,
        status="pending",
        created_at=place.said_at,
        updated_at=place.said_at,
        expires_at=None,
        active=False,
    )


def _ms(moment: datetime | None) -> int | None:
    return milliseconds(moment) if moment is not None else None

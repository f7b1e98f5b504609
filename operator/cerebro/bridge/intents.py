"""What a caller wants, typed and complete enough to be carried out later: the
inbox keeps these. Pure.

An intent knows nothing of Devices or Sessions; what becomes of it is decided
in `orders` (`decide`, `revoke`, `move`). The names of the fields are the JSON
on disk: see `dump` and `load`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cerebro.resources import Session
from cerebro.resources.session import SessionType

CLOCK_WINDOW = timedelta(seconds=120)
"""How far the clocks of two callers may differ: of two causes within it the
times say nothing (A4).
"""


class Arrival(NamedTuple):
    """When an intent came to the bridge; a later arrival is greater."""

    received_at: int
    """Milliseconds since 1970, by the bridge's clock."""

    seq: int
    """Its number in the inbox."""


@dataclass(frozen=True, slots=True)
class Cause:
    """An order or a revoke as something that came before or after another
    (A4).
    """

    asked_at: datetime
    """The time that its caller gave it."""

    arrival: Arrival | None = None
    """When it came to the bridge; None if that is not known: of a Session that
    the bridge did not make, or of what an older release kept.
    """

    def precedes(self, later: Cause) -> bool:
        """Return whether this one came before another.

        Within CLOCK_WINDOW of each other, and where it is known of both, the
        arrival decides; else the times that the callers gave.
        """
        apart = abs(later.asked_at - self.asked_at)
        if (
            self.arrival is not None
            and later.arrival is not None
            and apart <= CLOCK_WINDOW
        ):
            return self.arrival < later.arrival

        return self.asked_at < later.asked_at


class Client(BaseModel):
    """A phone as callers name it: by MAC, by address, or by both."""

    model_config = ConfigDict(frozen=True)

    mac: str | None = None
    """Upper case, with colons."""

    ip: str | None = None
    """An IPv4 address."""

    def __bool__(self) -> bool:
        return bool(self.mac or self.ip)

    @property
    def key(self) -> str:
        """The MAC, which survives a new lease, else the address, else an empty
        text.
        """
        return self.mac or self.ip or ""

    def is_in(self, session: Session) -> bool:
        """Return whether a Session is this client's: by MAC if both have one,
        else by address (B2).
        """
        known = Client.of(session)
        if self.mac and known.mac:
            return self.mac == known.mac

        return self.ip is not None and self.ip == known.ip

    @classmethod
    def of(cls, session: Session) -> Client:
        """Return a Session's client as far as it is known by now.

        The address that its router showed counts before that in its spec. A
        Session that names no MAC has the one that its address was pinned to on
        the router.
        """
        spec, placed = session.spec.client, session.placed
        if placed is None:
            return cls(mac=spec.mac_address, ip=spec.ip_address)

        return cls(
            mac=spec.mac_address or placed.mac_address,
            ip=placed.ip_address or spec.ip_address,
        )


class _Intent(BaseModel):
    model_config = ConfigDict(frozen=True)

    mik_id: str | None = None
    """The router's identifier as the caller wrote it; None if the bridge has
    to find the router.
    """

    token: str | None = None
    """The portal's device token."""

    client: Client = Client()
    """The phone; empty if its token has to say which it is."""

    requested_at: datetime
    """When the caller made the request: the signed time, else arrival."""

    arrival: Arrival | None = None
    """When it came to the bridge, also if it waited for a hello since; None
    before that is known.
    """

    trace_id: str = ""
    """What the request's logs, its Session and its answer have in common."""

    event_id: str | None = None
    """The backend's event that brought it, which gets an ACK; None if it came
    otherwise.
    """

    peer_public_key: str | None = None
    """The router's key, if an event is to be refused while that peer is
    offline (F5).
    """

    @property
    def cause(self) -> Cause:
        """The intent as a cause."""
        return Cause(self.requested_at, self.arrival)


class Authorize(_Intent):
    """Let a client in for an order; a resync is the same with the client's new
    address.
    """

    kind: Literal["authorize"] = "authorize"

    order_id: str | None = None
    """The order; None if an action names none."""

    session_id: str | None = None
    """The caller's name for the access, for the name of the Session if there
    is no order.
    """

    type: SessionType = "Paid"

    expires_at: datetime | None = None
    """The end of the access, if the caller named an instant (A5)."""

    duration: timedelta | None = None
    """Its length, if the caller named one instead. With neither, a paid order
    ends as a setting says, or never.
    """

    client_first: bool = False
    """Whether the client in the request is newer than what a hello said: in a
    resync.
    """

    warning: str | None = None
    """What was changed of the request, for the answer and the log."""

    was_open: bool = False
    """Whether its access was on the router when it came, so that it was
    answered at once: now it is only noted, and opens nothing (A1).
    """

    def asks_the_same(self, order: Authorize) -> bool:
        """Return whether two orders ask for the same, whenever they do."""
        return self._asked() == order._asked()

    def _asked(self) -> tuple[object, ...]:
        who = (self.mik_id, self.token, self.client, self.client_first)
        which = (self.order_id, self.session_id, self.type)

        return (*who, *which, self.expires_at, self.duration)


class Revoke(_Intent):
    """End an order, or without one all that a client has by then."""

    kind: Literal["revoke"] = "revoke"

    order_id: str | None = None
    """The order; None if all is meant that the client has."""


class Hello(_Intent):
    """A portal saw a phone: its token has this address on this router now."""

    kind: Literal["hello"] = "hello"

    user_agent: str | None = None
    """What the phone's browser calls itself, for people."""


class EnsureUser(_Intent):
    """Have a hotspot user on a router: its customers log in there themselves
    (F8).
    """

    kind: Literal["ensure_user"] = "ensure_user"

    order_id: str
    """What stands in an order's place for this user on this router."""

    user: str
    """The user's name."""

    profile: str | None = None
    """The hotspot user profile; None: the router's default."""

    secret: str
    """The name of the Secret with the password, which is nowhere else."""

    expires_at: datetime | None = None
    """The end of the access, if the caller named an instant (A5)."""

    duration: timedelta | None = None
    """Its length, if the caller named one instead."""

    @property
    def as_order(self) -> Authorize:
        """The same as an order, for what holds of both: a later word counts."""
        return Authorize(
            mik_id=self.mik_id,
            requested_at=self.requested_at,
            arrival=self.arrival,
            trace_id=self.trace_id,
            order_id=self.order_id,
            expires_at=self.expires_at,
            duration=self.duration,
        )


@dataclass(frozen=True, slots=True)
class Payment:
    """A confirmed payment, until its client has access (A6)."""

    sid: str
    """The portal's name for the client: its device token."""

    order: Authorize
    """The order that was paid, with the client as the payment names it; mostly
    it names none.
    """

    plan_id: str | None = None
    """The plan that was paid for, for people."""

    @property
    def waiting(self) -> Authorize:
        """The order as it waits for its client: a hello knows that better than
        the payment.
        """
        return self.order.model_copy(update={"client": Client()})


Intent = Annotated[
    Authorize | Revoke | Hello | EnsureUser, Field(discriminator="kind")
]

_ADAPTER: TypeAdapter[Intent] = TypeAdapter(Intent)


def dump(intent: Intent) -> str:
    """Return an intent as JSON for the store."""
    return intent.model_dump_json(exclude_none=True)


def load(text: str) -> Intent:
    """Return the intent that `dump` wrote.

    Raises ValueError if the text is none.
    """
    return _ADAPTER.validate_json(text)


def lane_of(intent: Intent, located: Client | None) -> str:
    """Return the lane in which an intent is carried out: intents of one client
    stay in their order (F2).

    A lane is named after the client's MAC, else after the MAC that the latest
    hello of its token saw (`located`), else after the token, else after the
    address, else after the order. Hellos are in the lane of their token, for
    they may say that its MAC is another one.
    """

    if isinstance(intent, Hello) and intent.token:
        return intent.token

    if intent.client.mac:
        return intent.client.mac

    if intent.token:
        known_mac = located.mac if located is not None else None
        return known_mac or intent.token

    if intent.client.ip:
        return intent.client.ip

    order_id = None if isinstance(intent, Hello) else intent.order_id

    return order_id or ""

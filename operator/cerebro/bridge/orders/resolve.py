"""Which router and which phone a request means (A6, F8).

A request may name neither: then the bridge goes by what it knows of the order,
and by the last hello of the device token. It reads store and Sessions, and
writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client, Hello, Intent
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.store.base import (
    TokenLocation,
    TokenStore,
    milliseconds,
)
from cerebro.domain.lifecycle import cause_of, session_facts
from cerebro.resources import Device, Session

_NEVER_REQUESTED = datetime.min.replace(tzinfo=UTC)


class Resolver:
    """Finds the Device and the client of an intent."""

    def __init__(self, sessions: Sessions, store: TokenStore) -> None:
        self._sessions = sessions
        self._store = store

    async def locations(self, intent: Intent) -> list[TokenLocation]:
        """Return where hellos of an intent's token placed its phone, for each
        router the latest one; empty without token or hello.
        """
        if not intent.token:
            return []

        return await self._store.locations_of(intent.token)

    def device(
        self, intent: Intent, locations: Sequence[TokenLocation]
    ) -> Device:
        """Return the router that a request means (F8).

        That is the named one, else that of the order's live Session, else that
        of the latest hello, else that of an ended Session of the order, else
        the only one. Raises ApiError 404, 400, and 503 for one that cannot be read.
        """

        sessions = self._sessions
        if intent.mik_id is not None:
            return sessions.device_to_use(intent.mik_id)

        # By the order and the hello: what is live counts first.
        order_id = None if isinstance(intent, Hello) else intent.order_id
        now = datetime.now(UTC)
        siblings = sessions.of_order(order_id) if order_id else []
        live = [one for one in siblings if session_facts(one, now).live]
        candidates = [
            sessions.device_named(one.spec.device_ref.name) for one in live
        ]
        candidates += [sessions.device(place.mik_id) for place in locations]
        candidates += [
            sessions.device_named(one.spec.device_ref.name) for one in siblings
        ]
        for device in candidates:
            if device is not None:
                return device

        # By there being no choice.
        devices = sessions.devices()
        if len(devices) == 1:
            return devices[0]

        raise ApiError(
            400,
            "mikId_required",
            "mikId required: nothing else says which router is meant",
        )

    def client(
        self,
        order: Authorize,
        locations: Sequence[TokenLocation],
        device: Device,
    ) -> Client:
        """Return the client of an order: that of its request, or that of its
        token's hello on this very router, whichever was asked for later (A6).

        An order that waited for its hello brings the client of that hello
        itself (`client_first`). A request that says less than the hello of the
        same phone takes nothing away. The client is empty if nobody knows it.
        """
        if order.client_first and order.client:
            return order.client

        place = self.place_on(device, locations)
        if place is None:
            return order.client

        is_later = milliseconds(order.requested_at) > place.said_at
        is_other = bool(order.client) and not _agree(
            order.client, place.client
        )

        return order.client if is_later and is_other else place.client

    def client_of_token(
        self,
        locations: Sequence[TokenLocation],
        device: Device,
        linked: Iterable[Session],
    ) -> Client:
        """Return the client of a revoke that names a token only.

        It is that of the token's latest hello on this router, else that of the
        latest Session that was made for the token here, else empty.
        """

        place = self.place_on(device, locations)
        if place is not None:
            return place.client

        here = [
            session
            for session in linked
            if session.spec.device_ref.name == device.name
        ]

        latest = max(here, key=_by_cause, default=None)

        return Client.of(latest) if latest is not None else Client()

    def place_on(
        self, device: Device, locations: Sequence[TokenLocation]
    ) -> TokenLocation | None:
        """Return where a token was seen on this very router; others have the
        same addresses.
        """
        for place in locations:
            seen_on = self._sessions.device(place.mik_id)
            if seen_on is not None and seen_on.name == device.name:
                return place

        return None


def _agree(client: Client, known: Client) -> bool:
    """Return whether all that is said of a client is known already."""
    return client.mac in (None, known.mac) and client.ip in (None, known.ip)


def _by_cause(session: Session) -> tuple[datetime, str]:
    """Return the key that orders Sessions by when they were requested, then by
    name.
    """
    return cause_of(session) or _NEVER_REQUESTED, session.name

"""Which router and which phone a request means (A6, F8).

A request may name neither: then the bridge goes by what it knows of the order,
and by the last hello of the device token. It reads store and Sessions, and
writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Authorize, Client, Hello, Intent
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.store.base import TokenLocation, TokenStore
from cerebro.domain.lifecycle import cause_of, session_facts
from cerebro.resources import Device, Session

_NEVER_REQUESTED = datetime.min.replace(tzinfo=UTC)


class Resolver:
    """Finds the Device and the client of an intent."""

    def __init__(self, sessions: Sessions, store: TokenStore) -> None:
        self._sessions = sessions
        self._store = store

    async def location(self, intent: Intent) -> TokenLocation | None:
        """Return where the last hello of an intent's token placed its phone;
        None without token or hello.
        """
        if not intent.token:
            return None

        return await self._store.location_of(intent.token)

    def device(self, intent: Intent, location: TokenLocation | None) -> Device:
        """Return the router that a request means (F8).

        That is the named one, else that of the order's live Session, else that
        of the hello, else that of an ended Session of the order, else the only
        one. Raises ApiError 404, 400, and 503 for one that cannot be read.
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
        if location is not None:
            candidates.append(sessions.device(location.mik_id))

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
        self, order: Authorize, location: TokenLocation | None, device: Device
    ) -> Client:
        """Return the client of an order: that of its hello on this very
        router, else that of its request (A6).

        An order that waited for its hello brings the client of that hello
        itself (`client_first`). The client is empty if nobody knows it.
        """
        if order.client_first and order.client:
            return order.client

        seen = self._seen_here(location, device)

        return order.client if seen is None else seen

    def client_of_token(
        self,
        location: TokenLocation | None,
        device: Device,
        linked: Iterable[Session],
    ) -> Client:
        """Return the client of a revoke that names a token only.

        It is that of the token's last hello on this router, else that of the
        latest Session that was made for the token here, else empty.
        """

        client = self._seen_here(location, device)
        if client is not None:
            return client

        here = [
            session
            for session in linked
            if session.spec.device_ref.name == device.name
        ]

        latest = max(here, key=_by_cause, default=None)

        return Client.of(latest) if latest is not None else Client()

    def _seen_here(
        self, location: TokenLocation | None, device: Device
    ) -> Client | None:
        """Return the client of a token's last hello if that was on this very
        router; others have the same addresses.
        """
        if location is None:
            return None

        seen_on = self._sessions.device(location.mik_id)
        is_here = seen_on is not None and seen_on.name == device.name

        return location.client if is_here else None


def _by_cause(session: Session) -> tuple[datetime, str]:
    """Return the key that orders Sessions by when they were requested, then by
    name.
    """
    return cause_of(session) or _NEVER_REQUESTED, session.name

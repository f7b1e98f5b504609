"""Which router a request for a command means (F8, C4). It reads the watched
objects and the store, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cerebro.bridge.errors import ApiError, starting
from cerebro.bridge.intents import Client
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.requests.commands import Place
from cerebro.bridge.requests.orders import session_order
from cerebro.bridge.store.base import TokenStore
from cerebro.domain.lifecycle import session_facts
from cerebro.resources import Device, Session
from cerebro.resources.addresses import normal_host


class CommandDevices:
    """Finds the Device of a command."""

    def __init__(self, sessions: Sessions, tokens: TokenStore) -> None:
        self.namespace = sessions.namespace
        self._sessions = sessions
        self._tokens = tokens

    async def find(self, place: Place) -> Device:
        """Return the Device that is meant: the named one, that of the host,
        that of the live Session of the order, client or device token, that of
        the token's last hello, else the only one.

        Raises ApiError 404, 400 `mikId_required`, and 503 for one that cannot
        be read, or while not all are known (A8).
        """
        sessions = self._sessions

        if not sessions.complete():
            raise starting()

        if place.mik_id is not None:
            return sessions.device_to_use(place.mik_id)

        if place.host is not None:
            return self._by_host(place.host)

        known = self._by_session(place)

        if known is None and place.token is not None:
            known = await self._by_token(place.token)

        if known is not None:
            return known

        devices = sessions.devices()

        if len(devices) == 1:
            return devices[0]

        raise ApiError(
            400,
            "mikId_required",
            "mikId required: nothing else says which router is meant",
        )

    def of_key(self, public_key: str) -> Device:
        """Return the Device with a WireGuard key. Raises ApiError 404
        `binding_not_found`, 503 while not all are known.
        """

        if not self._sessions.complete():
            raise starting()

        for device in self._sessions.devices():
            if device.spec.public_key == public_key:
                return device

        raise ApiError(
            404, "binding_not_found", "no Device has this publicKey"
        )

    def named_session(self, name: str) -> tuple[Device, Client]:
        """Return the Device and the client of a session that its caller named,
        as long as it is live.

        Raises ApiError 404 `session_not_found`, 503 while not all are known.
        """
        if not self._sessions.complete():
            raise starting()

        now = datetime.now(UTC)
        for session in self._sessions.of_order(session_order(name)):
            device = self._sessions.device_named(session.spec.device_ref.name)
            if device is not None and session_facts(session, now).live:
                return device, Client.of(session)

        raise ApiError(
            404,
            "session_not_found",
            f"no session {name!r} has access",
        )

    def live_macs(self, device: Device) -> frozenset[str]:
        """Return the MACs of the live Sessions of a Device, as far as they are
        known.
        """
        now = datetime.now(UTC)
        macs = set()

        for session in self._sessions.on_device(device.name):
            if not session_facts(session, now).live:
                continue

            for client in (session.placed, session.spec.client):
                if client is not None and client.mac_address:
                    macs.add(client.mac_address)

        return frozenset(macs)

    def _by_host(self, host: str) -> Device:
        wanted = normal_host(host)

        for device in self._sessions.devices():
            known = (device.api_address, device.tunnel_address)

            if wanted in {normal_host(name) for name in known if name}:
                return device

        raise ApiError(
            404,
            "MIKROTIK_NODE_NOT_FOUND",
            f"no Device has the address {host!r}: create it, or name its mikId",
        )

    def _by_session(self, place: Place) -> Device | None:
        """Return the Device of the live Session of an order or client; None if
        that says nothing, or means several.
        """
        sessions = self._sessions
        candidates: list[Session] = []

        if place.order_id is not None:
            candidates = sessions.of_order(place.order_id)
        elif place.client and len(sessions.devices()) > 1:
            everyone = sessions.all()
            candidates = [
                session for session in everyone if place.client.is_in(session)
            ]

        return self._of_live(candidates)

    async def _by_token(self, token: str) -> Device | None:
        """Return the Device of the live Session that was made for a device
        token, else that of the token's last hello; None if nothing is known.
        """
        names = await self._tokens.sessions_of(token)
        device = self._of_live(self._sessions.counting(names))

        if device is not None:
            return device

        for seen in await self._tokens.locations_of(token):
            device = self._sessions.device(seen.mik_id)

            if device is not None:
                return device

        return None

    def _of_live(self, candidates: Iterable[Session]) -> Device | None:
        """Return the Device of those Sessions that are live; None if there is
        none, or there are several.
        """
        sessions = self._sessions
        now = datetime.now(UTC)
        names = {
            session.spec.device_ref.name
            for session in candidates
            if session_facts(session, now).live
        }

        return sessions.device_named(names.pop()) if len(names) == 1 else None

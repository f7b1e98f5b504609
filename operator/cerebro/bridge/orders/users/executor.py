"""Carries out calls that want a hotspot user: gathers what is known, and
writes. What is written is decided in `decide.py`.

Everything here may happen twice, as in the executor of orders.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cerebro.bridge.errors import ApiError
from cerebro.bridge.intents import Cause, Client, EnsureUser
from cerebro.bridge.orders.causes import latest_after
from cerebro.bridge.orders.decide import Known, overtaken
from cerebro.bridge.orders.offline import refuse_rejecting
from cerebro.bridge.orders.outcomes import Awaited
from cerebro.bridge.orders.sessions import (
    MAX_DECISIONS,
    Sessions,
    Target,
    Written,
)
from cerebro.bridge.orders.users.decide import (
    decide_user,
    name_of,
    uses_secret,
)
from cerebro.bridge.orders.users.secrets import UserSecrets
from cerebro.bridge.orders.writes import Keep, Write
from cerebro.bridge.store.base import OrderStore
from cerebro.domain.lifecycle import GrantWindows, is_ours, session_facts
from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    Unavailable,
)
from cerebro.resources import Device, Session


class UserExecutor:
    """Carries out the entries of the inbox that want a hotspot user. Raises
    what `OrderExecutor` raises.
    """

    def __init__(
        self,
        sessions: Sessions,
        store: OrderStore,
        secrets: UserSecrets,
        *,
        windows: GrantWindows,
        default_paid: timedelta | None = None,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._secrets = secrets
        self._windows = windows
        self._default_paid = default_paid

    async def carry_out(self, wish: EnsureUser) -> Written:
        """Write the Session of a user; the Secret of the call goes if no
        Session names it then.
        """
        device = self._sessions.device_to_use(wish.mik_id or "")
        try:
            write, target = await self._write(wish, device)
        except (ApiError, Invalid) as error:
            is_final = not isinstance(error, ApiError) or error.status < 500
            if is_final:
                await self._secrets.try_to_drop(device.name, wish.secret)

            raise

        if not uses_secret(write, wish):
            await self._secrets.try_to_drop(device.name, wish.secret)

        return Written(device, Client(), (target,))

    async def known(self, wish: EnsureUser, device: Device) -> Known:
        """Return what a call is decided by. Raises ApiError 503 of the store."""
        namespace = self._sessions.namespace
        now = datetime.now(UTC)

        return Known(
            device,
            now,
            same=self._sessions.known(
                name_of(namespace, device, wish.order_id)
            ),
            holder=self._holder(wish, device, now),
            revokes=await self._revokes_of(wish, device),
            default_paid=self._default_paid,
            windows=self._windows,
        )

    async def _write(
        self, wish: EnsureUser, device: Device
    ) -> tuple[Write, Target]:
        known = await self.known(wish, device)
        if known.same is None or known.same.status.phase != "Active":
            refuse_rejecting(device, self._sessions.peer_of(device), known.now)

        for _ in range(MAX_DECISIONS):
            revoking = overtaken(wish.as_order, known)
            write = revoking or decide_user(
                self._sessions.namespace, wish, known
            )
            try:
                target = await self._sessions.write(write, Awaited.GRANT)
            except (AlreadyExists, Conflict):
                known = await self._read_anew(known, write)
                continue

            # A revoke may have been taken since `known` was gathered.
            revokes = await self._revokes_of(wish, device)
            was_revoked = latest_after(wish.cause, revokes) is not None
            if revoking is not None or was_revoked:
                known = await self._read_anew(
                    replace(known, revokes=revokes), write
                )
                continue

            if isinstance(write, Keep):
                target = self.target(write.session)

            return write, target

        raise Unavailable("the Session is changed by others again and again")

    def target(self, session: Session) -> Target:
        """Return what to wait for of a Session that is as it should be."""
        generation = self._sessions.generation_for_router(session)

        return Target(session.name, generation, Awaited.GRANT)

    def _holder(
        self, wish: EnsureUser, device: Device, now: datetime
    ) -> Session | None:
        """Return a live Session that somebody else made for the same user."""
        sessions = self._sessions.of_user(device.name, wish.user)
        holders = (
            session
            for session in sessions
            if not is_ours(session) and session_facts(session, now).live
        )

        return next(holders, None)

    async def _read_anew(self, known: Known, write: Write) -> Known:
        """Return what is known, with the Session as it is now."""
        session = await self._sessions.read(write.name)

        return replace(known, same=session, now=datetime.now(UTC))

    async def _revokes_of(
        self, wish: EnsureUser, device: Device
    ) -> tuple[Cause, ...]:
        """Return the revokes of this user that are kept."""
        revokes = await self._store.revokes_of(
            wish.as_order, Client(), device.name
        )

        return tuple(revokes)

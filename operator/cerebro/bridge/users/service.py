"""Takes a call that wants a hotspot user to its answer: the Secret with the
password, then the inbox, the Session, and the router (A7).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from cerebro.bridge.errors import ApiError, starting
from cerebro.bridge.intents import Authorize, Client, EnsureUser, lane_of
from cerebro.bridge.orders.outcomes import WaitResult, judge
from cerebro.bridge.orders.preview import planned_user
from cerebro.bridge.orders.resolve import Resolver
from cerebro.bridge.orders.service import OrderService, router_result
from cerebro.bridge.orders.sessions import Written
from cerebro.bridge.orders.users.decide import decide_user, name_of
from cerebro.bridge.orders.users.executor import UserExecutor
from cerebro.bridge.orders.users.secrets import UserSecrets
from cerebro.bridge.orders.writes import Keep
from cerebro.bridge.requests.hotspot import UserRequest
from cerebro.bridge.users.answers import NamedUser, UserAnswer
from cerebro.domain.lifecycle import session_facts
from cerebro.kube.client.errors import KubeError
from cerebro.resources import Device
from cerebro.resources.naming import place_of_user


@dataclass(frozen=True, slots=True)
class HotspotUsers:
    """What the endpoint of hotspot users calls; made once by `main.py`."""

    orders: OrderService
    executor: UserExecutor
    secrets: UserSecrets

    async def ensure(self, request: UserRequest, arrived: float) -> UserAnswer:
        """Have a user on its router; return the answer once it is there.

        `arrived` is of the event loop's clock. Raises ApiError.
        """
        device = await self.device(request.mik_id, request.token)
        password = request.password or self.secrets.password_of(
            device, request.user
        )

        wish = self._wish(request, device, password)
        was_there = self._is_live(wish, device)
        if self.orders.settings.dry_run:
            result = WaitResult.DRY_RUN
            return self._answer(request, wish, device, password, result)

        written = await self._kept(wish, device)
        if written is not None:
            result = WaitResult.DONE
        else:
            await self._make_secret(wish, device, password, arrived)
            written = await self.orders.write(wish, arrived)
            deadline = self.orders.deadline(arrived)
            result = await self.orders.wait(written, deadline)

        created = result is WaitResult.DONE and not was_there

        return self._answer(
            request, wish, device, password, result, created=created
        )

    async def device(self, mik_id: str | None, token: str | None) -> Device:
        """Return the router that a call means: the named one, else that of the
        token's last hello, else the only one (F8).

        Raises ApiError 404, 400 `mikId_required`, and 503 for one that cannot
        be read, or while not all are known.
        """
        sessions = self.orders.sessions
        if not sessions.complete():
            raise starting()

        meant = Authorize(
            mik_id=mik_id, token=token, requested_at=datetime.now(UTC)
        )
        resolver = Resolver(sessions, self.orders.store)

        return resolver.device(meant, await resolver.locations(meant))

    async def place(
        self, mik_id: str | None, token: str | None, user: str
    ) -> str:
        """Return what stands in an order's place for a user. Raises what
        `device` raises.
        """
        device = await self.device(mik_id, token)

        return place_of_user(device.name, user)

    def _wish(
        self, request: UserRequest, device: Device, password: str
    ) -> EnsureUser:
        return EnsureUser(
            mik_id=device.router_id,
            requested_at=request.requested_at,
            trace_id=request.trace_id,
            order_id=place_of_user(device.name, request.user),
            user=request.user,
            profile=request.profile,
            secret=self.secrets.new_name(device, request.user, password),
            expires_at=request.expires_at,
            duration=request.duration,
        )

    def _is_live(self, wish: EnsureUser, device: Device) -> bool:
        """Return whether the user has a live Session by now."""
        sessions = self.orders.sessions
        session = sessions.known(
            name_of(sessions.namespace, device, wish.order_id)
        )

        return (
            session is not None
            and session_facts(session, datetime.now(UTC)).live
        )

    async def _kept(self, wish: EnsureUser, device: Device) -> Written | None:
        """Return the Session of a user that is on the router as it is wanted,
        so that there is nothing to make or to wait for; None if it has to take
        the long way, which also tells what is wrong with it.
        """
        orders = self.orders
        lane = lane_of(wish, None)
        if not orders.inbox.has_nothing_but(wish.as_order, lane):
            return None

        try:
            known = await self.executor.known(wish, device)
            write = decide_user(orders.sessions.namespace, wish, known)
            if known.revokes or not isinstance(write, Keep):
                return None

            target = self.executor.target(write.session)
            result = judge(write.session, target.generation, target.wanted)
        except ApiError:
            return None

        if result is not WaitResult.DONE:
            return None

        return Written(device, Client(), (target,))

    async def _make_secret(
        self, wish: EnsureUser, device: Device, password: str, arrived: float
    ) -> None:
        """Make the Secret that the inbox will name: a password is in no store
        of ours. Raises ApiError 503 if the API server does not take it.
        """
        try:
            async with asyncio.timeout_at(self.orders.deadline(arrived)):
                await self.secrets.make(
                    device, wish.secret, wish.user, password
                )
        except (KubeError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            raise ApiError(
                503,
                "kubernetes_unavailable",
                f"the API server did not take the Secret with the password, and nothing was kept: {reason}; "
                "send the same again",
            ) from None

    def _answer(
        self,
        request: UserRequest,
        wish: EnsureUser,
        device: Device,
        password: str,
        result: WaitResult,
        *,
        created: bool = False,
    ) -> UserAnswer:
        is_made_here = request.password is None
        is_dry_run = result is WaitResult.DRY_RUN
        commands = self._planned(wish, device) if is_dry_run else []

        return UserAnswer(
            mik_id=request.mik_id or device.router_id,
            user=NamedUser(username=wish.user, profile=wish.profile),
            created=created,
            username=wish.user,
            password=password if is_made_here else None,
            pedido_id=wish.order_id,
            mikrotik=router_result(
                device, dry_run=is_dry_run, commands=commands
            ),
        )

    def _planned(self, wish: EnsureUser, device: Device) -> list[str]:
        """Return what would be done on an empty router (F6)."""
        until = wish.expires_at
        if until is None and wish.duration is not None:
            until = wish.requested_at + wish.duration

        return planned_user(
            device,
            wish.user,
            wish.profile,
            until,
            self.orders.settings.installation,
        )

"""Keeps the technical user on the router of one Device: once for each
connection and at each resync, and only while nobody waits (rule B7).

Users are read on the loop's connection. They are written with the credentials
only, and a login with a password counts once a fresh connection has made it.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from cerebro.agent.context import AgentContext, may_configure
from cerebro.agent.devices.connection import RouterLink, read_facts
from cerebro.agent.devices.identity import check_serial_number
from cerebro.agent.devices.model import DeviceWarning, TechnicalUserFact
from cerebro.agent.devices.status import DeviceFindings
from cerebro.agent.devices.technical.login import TechnicalLogin
from cerebro.agent.devices.urgency import unless_urgent
from cerebro.resources import HUB, Device, Hub
from cerebro.resources.device import TechnicalUser
from cerebro.routeros.client.credentials import RouterCredentials
from cerebro.routeros.client.errors import (
    LoginRefused,
    RouterError,
    SecretError,
    Trap,
    TrapKind,
)
from cerebro.routeros.client.session import RouterSession
from cerebro.routeros.menus.menu import Row
from cerebro.routeros.users import (
    UserPlan,
    WantedUser,
    is_there,
    plan_user,
    user_prints,
)

_LOOK_FOR_URGENT = 0.02
"""Seconds between two looks, while the router is at it, whether somebody
waits.
"""

NOT_KEPT = "TechnicalUserNotKept"
BY_HAND = "TechnicalUserByHand"
REFUSED = "TechnicalUserRefused"


@dataclass(frozen=True, slots=True)
class _Work:
    """One look at the users of a router."""

    device: Device

    session: RouterSession
    """The connection of the loop, on which users are read."""

    serial_number: str | None
    """The serial number that the Device's router has, as far as is known."""


class TechnicalUserKeeper:
    """When the users of one router were looked at last, and with what its
    loop logs in.
    """

    def __init__(
        self,
        context: AgentContext,
        link: RouterLink,
        reconnect: Callable[[], None],
    ) -> None:
        """`link` is the loop's connection; `reconnect` has the loop turn soon,
        after its connection was dropped.
        """
        self._context = context
        self._link = link
        self._reconnect = reconnect
        self._login = TechnicalLogin(context.api)
        self._looked: tuple[RouterSession, TechnicalUser | None] | None = None
        self._looked_at = 0.0
        link.daily = self._login

    async def take(
        self,
        device: Device,
        session: RouterSession,
        findings: DeviceFindings,
        urgent: Callable[[], bool],
    ) -> DeviceFindings:
        """Return the findings after the technical user was made as wanted; as
        they are if nothing is due, or if `urgent` returns that somebody waits.

        What goes wrong is a warning: access is kept with the credentials.
        """

        looked = (session, device.spec.technical_user)
        interval = device.spec.resync_interval.total_seconds()
        now = time.monotonic()
        is_due = looked != self._looked or now >= self._looked_at + interval

        if not is_due or urgent() or not may_configure(self._context, device):
            return findings

        if not self._concerns(device, findings):
            return replace(findings, technical=())

        try:
            # What was done until somebody came stays, and is gone on with
            # later.
            kept = await unless_urgent(
                self._keep(device, session, findings),
                urgent,
                every=_LOOK_FOR_URGENT,
            )
            if kept is None:
                return findings

            findings = kept
        except LoginRefused as error:
            self._login.refused(str(error))
            findings = _warned(findings, REFUSED, str(error))
        except RouterError as error:
            findings = _warned(findings, NOT_KEPT, _explained(error))

        self._looked, self._looked_at = looked, now

        return findings

    def _concerns(self, device: Device, findings: DeviceFindings) -> bool:
        """Return whether a technical user is wanted, or was made before."""
        if device.spec.technical_user is not None:
            return True

        applied = findings.technical_user
        if applied is not None:
            return applied.name is not None

        return device.status.technical_user is not None

    async def _keep(
        self, device: Device, session: RouterSession, findings: DeviceFindings
    ) -> DeviceFindings:
        """Make the router's users as wanted, and prove it by a login.

        Raises RouterError.
        """

        wanted, is_known = self._wanted(device)
        if not is_known:
            return findings

        work = _Work(device, session, findings.serial_number)
        if wanted is None:
            await self._write(work, None, None)
            self._login.forget()
            gone = TechnicalUserFact(None, None)

            return replace(findings, technical=(), technical_user=gone)

        # What was applied before, and what is to be.
        version, credentials = await self._login.read(device)
        applied = TechnicalUserFact(wanted.name, version)
        before = _applied(device, findings)
        is_same_user = before is not None and before.name == wanted.name
        is_new_password = is_same_user and before != applied

        plan = await self._write(
            work, wanted, credentials, always=is_new_password
        )
        if plan.by_hand is not None:
            self._login.forget()
            message = (
                f"{plan.by_hand} on the router was made by hand and is left alone: remove it, or write another "
                "name in spec.technicalUser"
            )

            return _warned(findings, BY_HAND, message)

        # In daily use with an unchanged password it has proven itself.
        in_use = self._link.by_daily_login and session.login == 0
        if plan.commands or not in_use:
            await self._prove(work, wanted, credentials)

        self._use(device, wanted)

        return replace(findings, technical=(), technical_user=applied)

    def _wanted(self, device: Device) -> tuple[WantedUser | None, bool]:
        """Return the user that is wanted, and whether all is known for that:
        the Hub's addresses may not be.
        """
        user = device.spec.technical_user
        if user is None:
            return None, True

        hub_ref = device.spec.hub_ref
        if hub_ref is None or not device.dials_tunnel:
            return WantedUser(user.name, user.group, ""), True

        stored = self._context.store.get(HUB, device.namespace, hub_ref.name)
        hub = None if stored is None else stored.read(Hub)
        if hub is None:
            return None, False

        hosts = [
            str(ipaddress.ip_interface(address).ip)
            for address in hub.spec.addresses
        ]

        return WantedUser(user.name, user.group, ",".join(hosts)), True

    async def _write(
        self,
        work: _Work,
        wanted: WantedUser | None,
        credentials: RouterCredentials | None,
        *,
        always: bool = False,
    ) -> UserPlan:
        """Read the users, write what differs, and return what that was.

        The password of `credentials` is set if the user is to be added, or
        `always`. Raises RouterError.
        """

        groups, users = await _read(work.session)
        password = None
        is_absent = wanted is not None and not is_there(wanted, users)

        if credentials is not None and (always or is_absent):
            password = credentials.password

        plan = plan_user(
            wanted, groups, users, self._context.installation, password
        )
        if not plan.commands:
            return plan

        async with self._administrator(work) as admin:
            for command in plan.commands:
                if not may_configure(self._context, work.device):
                    break

                await admin.run(command)

        return plan

    @asynccontextmanager
    async def _administrator(
        self, work: _Work
    ) -> AsyncIterator[RouterSession]:
        """Give a connection that is logged in with the credentials: the loop's
        own, else another one for this moment, to the same router.

        Raises RouterError.
        """
        if not self._link.by_daily_login:
            yield work.session
            return

        try:
            admin = await self._link.dial(work.device)
        except LoginRefused as error:
            raise SecretError(
                f"the router refused spec.api.credentialsSecretRef: {error}"
            ) from None

        try:
            facts = await read_facts(admin)
            check_serial_number(work.device, facts, work.serial_number)

            yield admin
        finally:
            await admin.close()

    async def _prove(
        self, work: _Work, wanted: WantedUser, credentials: RouterCredentials
    ) -> None:
        """Log in afresh with the password; set it anew if it is wrong, since
        nobody can read which one the router has.

        Raises RouterError, LoginRefused if the router does not let it in.
        """
        try:
            await self._log_in_once(work.device, credentials)
        except LoginRefused as error:
            if not error.wrong_password:
                raise

            await self._write(work, wanted, credentials, always=True)
            await self._log_in_once(work.device, credentials)

    async def _log_in_once(
        self, device: Device, credentials: RouterCredentials
    ) -> None:
        """Log in with the newest password, and close. Raises RouterError."""
        newest = credentials.attempts[:1]
        proof = await self._link.dial(device, newest)
        await proof.close()

    def _use(self, device: Device, wanted: WantedUser) -> None:
        """Have the loop log in as the user from now on. After a refusal it
        waits for the next connection: it might be refused again.
        """
        was_refused = self._login.refusal is not None
        self._login.worked(wanted.name)

        if self._link.by_daily_login or was_refused:
            return

        if not device.spec.manage_config:
            self._link.drop()
            self._reconnect()


async def _read(session: RouterSession) -> tuple[list[Row], list[Row]]:
    """Return the groups and the users of a router. Raises RouterError."""
    groups, users = await session.run_all(user_prints(), return_traps=False)

    return list(groups.rows), list(users.rows)


def _applied(
    device: Device, findings: DeviceFindings
) -> TechnicalUserFact | None:
    """Return what was applied last; a status of ours may not have come back
    yet.
    """
    if findings.technical_user is not None:
        return findings.technical_user

    status = device.status.technical_user
    if status is None:
        return None

    return TechnicalUserFact(status.name, status.secret_version)


def _warned(
    findings: DeviceFindings, reason: str, message: str
) -> DeviceFindings:
    text = f"spec.technicalUser: {message}; the credentials are used"

    return replace(findings, technical=(DeviceWarning(reason, text),))


def _explained(error: RouterError) -> str:
    """Return an error with what to do, where that is known."""
    if isinstance(error, Trap) and error.kind is TrapKind.NOT_PERMITTED:
        return (
            f"{error}: give the user of spec.api.credentialsSecretRef the policy `policy`, which changes of users "
            "need"
        )

    return str(error)

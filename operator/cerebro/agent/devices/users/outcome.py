"""What a pass over hotspot users led to for each Session. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from cerebro.agent.devices.access.desired import SessionDecision
from cerebro.agent.devices.access.outcome import UserOutcome, pass_obstacle
from cerebro.agent.devices.users.desired import UserOrders, user_name
from cerebro.domain.conditions import Obstacle
from cerebro.domain.mass_removal import RemovalDecision
from cerebro.resources import Session, reasons
from cerebro.routeros.access.user_model import UserPlan, UserState
from cerebro.routeros.client.command import Command
from cerebro.routeros.client.errors import SecretError, Trap
from cerebro.routeros.menus.hotspot import USER
from cerebro.routeros.menus.sensitive import MASK, is_sensitive

NOT_USABLE = "SecretNotUsable"
BY_HAND = reasons.USER_MADE_BY_HAND
NOT_READ = "UsersNotRead"

Secrets = Mapping[str, str | SecretError]
"""Passwords by the UID of the Session, or why its Secret cannot be used."""


@dataclass(frozen=True, slots=True)
class UsersLook:
    """What one round saw, and what it is to do."""

    orders: UserOrders
    plan: UserPlan
    removals: RemovalDecision | None = None


@dataclass(frozen=True, slots=True)
class UsersResult:
    """What a pass over users led to: its last round, what was refused for a
    user by its name, and the Secrets that were read.
    """

    look: UsersLook
    refused: Mapping[str, Obstacle] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=dict)

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do, now or when time has passed. A
        Session of `waiting` is looked at again by itself.
        """
        plan, orders = self.look.plan, self.look.orders

        if plan.commands() or plan.wants_connections:
            return False

        if self.refused.keys() - orders.wanted_names:
            return False

        if orders.untold:
            return False

        states = (plan.states.get(name) for name in orders.ended)

        return all(state is None or state.done for state in states)

    @property
    def waiting(self) -> frozenset[str]:
        """UIDs of the live Sessions whose user waits for a person: their
        Secret cannot be used, or the router refused a write.
        """
        return frozenset(
            decision.session.metadata.uid
            for decision in self.look.orders.decisions
            if decision.verdict.live and self._waits(decision.session)
        )

    def _waits(self, session: Session) -> bool:
        secret = self.secrets.get(session.metadata.uid)

        return (
            isinstance(secret, SecretError)
            or user_name(session) in self.refused
        )

    def outcomes(self) -> Iterator[tuple[str, UserOutcome]]:
        """Yield what the pass means for each Session that it looked at, with
        its UID.
        """
        wanted = self.look.orders.wanted_names

        for decision in self.look.orders.decisions:
            name = user_name(decision.session)
            outcome = self._outcome(decision, name, shared=name in wanted)

            yield decision.session.metadata.uid, outcome

    def _outcome(
        self, decision: SessionDecision, name: str, *, shared: bool
    ) -> UserOutcome:
        # Whoever shares the user with a live Session has nothing to end.
        if shared and not decision.verdict.live:
            return UserOutcome(done=True)

        state = self.look.plan.states.get(name, UserState(done=False))
        obstacle = self._obstacle(decision, name, state)
        is_done = state.done and obstacle is None

        return UserOutcome(is_done, obstacle)

    def _obstacle(
        self, decision: SessionDecision, name: str, state: UserState
    ) -> Obstacle | None:
        """Return why a Session's user is not as wanted, where that is known."""
        if state.by_hand is not None:
            return Obstacle(
                BY_HAND,
                f"hotspot user {name} ({state.by_hand}) was made by hand on the router and is left as it is: rename "
                "or remove that user, or write another name in spec.hotspotUser",
            )

        secret = self.secrets.get(decision.session.metadata.uid)

        if decision.verdict.live and isinstance(secret, SecretError):
            return Obstacle(NOT_USABLE, str(secret))

        if state.unread is not None:
            message = f"the router did not print {state.unread}: whether user {name} is logged out is not known yet"

            return Obstacle(NOT_READ, message)

        return self.refused.get(name)


def unread_outcomes(
    sessions: list[Session], why: str
) -> dict[str, UserOutcome]:
    """Return the outcomes where the router did not print its users."""
    obstacle = Obstacle(
        NOT_READ,
        f"the router did not print {USER.path}: {why}; what else is due was done, and it is read again",
    )

    return {
        session.metadata.uid: UserOutcome(done=False, obstacle=obstacle)
        for session in sessions
    }


def refusal(name: str, trap: Trap) -> Obstacle:
    """Return why the router refused a write for a user, and what to do."""
    obstacle = replace(pass_obstacle(trap), final=False)

    if "profile" not in trap.message:
        return replace(obstacle, message=f"user {name}: {obstacle.message}")

    return replace(
        obstacle,
        message=f"user {name}: {trap}: make that profile in /ip/hotspot/user/profile, or write another one in "
        "spec.hotspotUser.profile",
    )


def without_password(command: Command) -> Command:
    """Return a command as it may be shown."""
    shown = {
        name: MASK if value and is_sensitive(name) else value
        for name, value in command.attributes.items()
    }

    return replace(command, attributes=shown)

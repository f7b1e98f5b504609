"""When the loop of a Device looks at its router next, and how widely. Pure:
times are passed in.

`standing` answers whether the router may be reached at all. `Schedule`
remembers what is due: clients of Sessions that changed come first, everything
is compared after a connect, at the resync interval, and when the Device
changed. This file knows neither the connection nor the Sessions themselves.

All times are seconds of the monotonic clock, but for `clock_at`: that is a
moment of the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from cerebro.agent.devices.breaker import Breaker
from cerebro.agent.tunnel_status import dialling_obstacle
from cerebro.domain.conditions import ConditionState
from cerebro.resources import Device

CLIENT_WAITS = 4.0
"""Seconds after a Session came or changed in which somebody waits for its
access (rule B5).
"""

UNSETTLED_RETRY = 1.0
"""Seconds until the next pass after the first one that left something to do;
twice as long each further time.
"""

_LONGEST_RETRY = 30.0
_MOST_DOUBLINGS = 8

_LONGEST_OVERTAKING = 60.0
"""Seconds for which passes over clients may go ahead of a full pass that is
due.
"""


class Standing(Enum):
    """Whether a router may be reached now, and if not, why."""

    FROZEN = "frozen"
    """The Device cannot be read: all is left as it is (rule B9)."""

    NOT_OURS = "not ours"
    """Paused, cleaned up, or the router of another agent (rule E1)."""

    NO_ROUTE = "no route"
    """Nothing leads to the router: its tunnel is not ready."""

    BACKING_OFF = "backing off"
    """The last tries failed, and the next one is not due."""

    READY = "ready"


def standing(
    device: Device,
    *,
    cleaned_up: bool,
    may_look: bool,
    tunnel: ConditionState,
    breaker: Breaker,
    client_waits: bool,
    now: float,
) -> Standing:
    """Return where the router of a readable Device stands.

    `cleaned_up`: the Device is being deleted and no row of ours is left on the
    router. `may_look`: this agent may connect to the router. `tunnel` is the
    Device's TunnelUp. `client_waits`: a Session changed, so that somebody may
    wait for access; such a try does not wait for its time while the breaker is
    closed.
    """

    if cleaned_up or device.spec.paused == "All" or not may_look:
        return Standing.NOT_OURS

    if dialling_obstacle(device, tunnel) is not None:
        return Standing.NO_ROUTE

    too_early = now < breaker.next_try
    goes_ahead = client_waits and breaker.state(now) == "Closed"
    if too_early and not goes_ahead:
        return Standing.BACKING_OFF

    return Standing.READY


class Look(Enum):
    """How widely a pass looks at a router."""

    NOTHING = "nothing"
    CLIENTS = "clients"
    EVERYTHING = "everything"


@dataclass
class Schedule:
    """What is due at one router, and when."""

    changed: dict[str, float] = field(default_factory=dict)
    """UIDs of Sessions that came, changed or went since the last pass, each
    with the time of its change.
    """

    full_pass_due: bool = True

    resync_at: float = 0.0
    """When everything is compared again although nothing changed."""

    removals_at: float | None = None
    """When clients that lost their Session may go (rule E13): a full pass is
    due then.
    """

    retry_at: float | None = None
    """When to come again after something failed or was left to do; it makes
    the next pass a full one.
    """

    clock_at: datetime | None = None
    """When the clock next changes what is to be, or what is to be told."""

    overtaken_since: float | None = None
    """Since when passes over clients go ahead of a full pass that is due."""

    unsettled: int = 0
    """Passes in a row that left something to do."""

    at_once: bool = False
    """The next turn is due now."""

    # --- what happens around the loop

    def session_changed(self, uid: str, now: float) -> None:
        """Note that a Session came, changed or went."""
        self.changed[uid] = now

    def session_deleted(self, uid: str, at: float) -> bool:
        """Note that a Session was deleted, whose client may go at `at`;
        return whether that is sooner than the loop would look.
        """
        self.changed.pop(uid, None)
        is_sooner = self.removals_at is None or at < self.removals_at
        self.await_removals(at)

        return is_sooner

    def await_removals(self, at: float) -> None:
        """Make a full pass due at `at` or earlier, for those who lost their
        Session.
        """
        if self.removals_at is None or at < self.removals_at:
            self.removals_at = at

    def look_again(self, at: float) -> None:
        """Make the next full pass due at `at` or earlier: a row that others
        made, and that counts, ends then.
        """
        self.resync_at = min(self.resync_at, at)

    def request_full_pass(self) -> None:
        """Note that something changed that concerns the whole router."""
        self.full_pass_due = True

    def retry_now(self) -> None:
        """Do not wait any longer for the next try."""
        self.retry_at = None

    # --- what the loop did

    def suspend(
        self,
        *,
        retry_at: float | None = None,
        resync_at: float | None = None,
        full_pass: bool = False,
    ) -> None:
        """Forget what is due for single clients: no pass comes before the time
        given.

        With `full_pass` the next pass is a full one even if the connection
        outlives the wait.
        """

        self.changed.clear()
        self.at_once = False
        self.clock_at = None
        self.removals_at = None
        self.retry_at = retry_at

        if resync_at is not None:
            self.resync_at = resync_at

        if full_pass:
            self.full_pass_due = True

    def failed(self, retry_at: float) -> None:
        """Note that a pass ended in an error of the router: nothing is known
        of it before the next full pass.
        """
        self.suspend(retry_at=retry_at, full_pass=True)

    def gave_way(self, changed: dict[str, float], now: float) -> None:
        """Note that a full pass ended before it wrote anything, as a client
        waits; `changed` are the Sessions that it had taken.
        """
        self.changed = changed | self.changed
        self.full_pass_due = True
        self.at_once = True

        if self.overtaken_since is None:
            self.overtaken_since = now

    def completed(
        self,
        look: Look,
        now: float,
        *,
        settled: bool,
        interrupted: bool,
        collided: bool,
        resync_interval: float,
    ) -> None:
        """Note how a pass ended.

        `settled`: nothing was left to do. `interrupted`: something more urgent
        came in between. `collided`: the router has a row that was not read.
        `resync_interval` in seconds.
        """

        self.retry_at = None
        full_pass = look is Look.EVERYTHING

        if full_pass:
            self.overtaken_since = None
            self.resync_at = now + resync_interval
            if not settled:
                self.full_pass_due = True

        if interrupted or collided:
            self.full_pass_due = True

        # A full pass that collided waits for its retry: it has read
        # everything, and would collide again.
        if interrupted or (collided and not full_pass):
            self.at_once = True

        if not settled:
            wait = min(_LONGEST_RETRY, UNSETTLED_RETRY * 2**self.unsettled)
            self.retry_at = now + wait
        elif self.full_pass_due:
            self.at_once = True

        if settled or interrupted:
            self.unsettled = 0
        else:
            self.unsettled = min(self.unsettled + 1, _MOST_DOUBLINGS)

    # --- what is due

    def resync_is_due(self, now: float) -> bool:
        """Return whether the resync interval has passed."""
        return now >= self.resync_at

    def removals_are_due(self, now: float) -> bool:
        """Return whether clients that lost their Session have waited."""
        return self.removals_at is not None and now >= self.removals_at

    def may_overtake(self, now: float) -> bool:
        """Return whether a full pass still lets passes over clients go ahead:
        it would never come to its end where somebody always waits.
        """
        since = self.overtaken_since

        return since is None or now - since < _LONGEST_OVERTAKING

    def take_changed(self) -> dict[str, float]:
        """Return the Sessions that changed; those that change from now on are
        for the pass after the next.
        """
        changed, self.changed = self.changed, {}

        return changed

    def next_look(
        self, now: float, *, fresh: bool, present: bool, gone: bool
    ) -> Look:
        """Return how widely the pass that begins now looks.

        `fresh`: the connection is a new one. `present`: a Session that changed
        is to be looked at. `gone`: a Session that changed is in the store no
        more, so that only a full pass knows its rows.
        """

        self.at_once = False
        retries = self.retry_at is not None
        due = (
            self.full_pass_due
            or fresh
            or retries
            or self.resync_is_due(now)
            or self.removals_are_due(now)
        )

        # Somebody waits for a Session that changed: it goes ahead of what
        # nobody waits for.
        goes_ahead = present and due and not fresh and self.may_overtake(now)
        if goes_ahead and self.overtaken_since is None:
            self.overtaken_since = now

        if (due or gone) and not goes_ahead:
            # The marks are taken at the start of the pass: those that are set
            # meanwhile are for the next.
            self.full_pass_due = False
            self.removals_at = None

            return Look.EVERYTHING

        if not present:
            return Look.NOTHING

        if goes_ahead or gone:
            self.full_pass_due = True

        return Look.CLIENTS

    def also_at(self, moment: datetime) -> None:
        """Come again at that moment too."""
        if self.clock_at is None or moment < self.clock_at:
            self.clock_at = moment

    def next_turn(
        self, now: float, wall: datetime, *, heartbeat: float
    ) -> float:
        """Return in how many seconds the next turn is due, at most
        `heartbeat`.
        """

        if self.at_once:
            return 0.0

        # A try that is due takes the place of the resync: it is a full pass
        # itself.
        next_pass = self.resync_at if self.retry_at is None else self.retry_at
        wait = min(heartbeat, next_pass - now)

        if self.removals_at is not None:
            wait = min(wait, self.removals_at - now)

        if self.clock_at is not None:
            until_clock = (self.clock_at - wall).total_seconds()
            wait = min(wait, until_clock)

        return max(0.0, wait)

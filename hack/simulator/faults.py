"""What can be wrong with a router or the way to it: latency, cost per command,
stalls, silence, cuts.

`DelayLine` delays one direction of one connection without serialising what is
in flight; `Processor` models the one processor that all connections of a
router share.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

SLICE = 4096


@dataclass
class TrapFault:
    """A trap instead of (or, with `after_rows`, behind some rows of) the next
    `times` matching commands.
    """

    path: str
    verb: str
    message: str
    times: int = 1
    category: int | None = None
    after_rows: int = 0


@dataclass
class SlowFault:
    """Each matching command is answered `ms` milliseconds late; other commands
    are not held up.
    """

    path: str
    verb: str
    ms: float


@dataclass
class Faults:
    """The lasting faults of one router.

    latency_ms: round trip time. bandwidth: bytes per second towards the client.
    per_command_ms: processor time of each command; with `burst`, that many come at this cost and the further
    ones at `knee_ms`, until an idle second. hang: takes and never answers. refuse: nobody listens.
    blackhole: nothing in, nothing out. drop_after_bytes: close the connection that crosses this many bytes
    sent by the router, once. drop_after_received: the same for bytes that come from the client; what came whole
    before is run.
    """

    latency_ms: float = 0
    bandwidth: float = 0
    per_command_ms: float = 0
    burst: int = 0
    knee_ms: float = 20
    hang: bool = False
    refuse: bool = False
    blackhole: bool = False
    drop_after_bytes: int | None = None
    drop_after_received: int | None = None
    trap: TrapFault | None = None
    slow: SlowFault | None = None

    def __post_init__(self) -> None:
        self.cut_off = False
        """The router's own configuration keeps its clients out; no fault that
        is set.
        """

    def change(self, wanted: dict[str, Any]) -> None:
        """Set the given faults. Raises ValueError for unknown names or wrong
        types.
        """
        known = {field.name for field in fields(self)}
        unknown = wanted.keys() - known
        if unknown:
            raise ValueError(
                f"unknown fault {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
            )
        checked = {
            name: _checked(name, value) for name, value in wanted.items()
        }
        for name, value in checked.items():
            setattr(self, name, value)

    @property
    def silent(self) -> bool:
        """Whether what clients send is left lying."""
        return self.hang or self.dead

    @property
    def dead(self) -> bool:
        """Whether nothing gets through."""
        return self.blackhole or self.cut_off

    def take_trap(self, path: str, verb: str) -> TrapFault | None:
        """Return the trap for this command, counted down."""
        trap = self.trap
        if (
            trap is None
            or trap.path != path
            or trap.verb != verb
            or trap.times <= 0
        ):
            return None
        trap.times -= 1
        if trap.times == 0:
            self.trap = None
        return trap

    def delay_of(self, path: str, verb: str) -> float:
        """Return by how many seconds the reply to a command is late."""
        slow = self.slow
        return (
            slow.ms / 1000
            if slow is not None and (slow.path, slow.verb) == (path, verb)
            else 0.0
        )

    def shown(self) -> dict[str, Any]:
        """Return, as JSON, the faults that differ from a sound router."""
        sound = Faults()
        return {
            k: v for k, v in asdict(self).items() if v != getattr(sound, k)
        }


_OPTIONAL = ("drop_after_bytes", "drop_after_received")
"""Numbers that may be None."""


def _checked(name: str, value: Any) -> Any:
    kinds: dict[str, type[TrapFault] | type[SlowFault]] = {
        "trap": TrapFault,
        "slow": SlowFault,
    }
    if name in kinds and value is not None:
        try:
            return kinds[name](**value)
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from None
    if name in {*kinds, *_OPTIONAL} and value is None:
        return None
    if name in {"hang", "refuse", "blackhole"}:
        if not isinstance(value, bool):
            raise ValueError(f"{name}: expects true or false")
        return value
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value < 0
    ):
        raise ValueError(f"{name}: expects a number of 0 or more")
    return value


class DelayLine:
    """Hands chunks on in order, each half a round trip (plus its time on a
    narrow line) after it came.
    """

    def __init__(
        self, faults: Faults, deliver: Callable[[bytes], None], *, narrow: bool
    ) -> None:
        self._faults = faults
        self._deliver = deliver
        self._narrow = narrow
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.waiting_bytes = 0

    def push(self, data: bytes) -> None:
        """Send a chunk on its way."""
        faults = self._faults
        bandwidth = faults.bandwidth if self._narrow else 0
        held = faults.dead and self._narrow
        if (
            not faults.latency_ms
            and not bandwidth
            and not held
            and not self._waiting
        ):
            self._deliver(data)
            return
        now = asyncio.get_running_loop().time()
        for piece in (
            [data]
            if not bandwidth
            else [data[i : i + SLICE] for i in range(0, len(data), SLICE)]
        ):
            due = max(now + faults.latency_ms / 2000, self._last)
            self._last = due + (len(piece) / bandwidth if bandwidth else 0)
            self._waiting.append((self._last, piece))
        self.waiting_bytes += len(data)
        self.resume()

    def resume(self) -> None:
        """Hand on what is due; called again by a timer, and when a fault has
        gone.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting and not (self._faults.dead and self._narrow):
            due, data = self._waiting[0]
            if due > loop.time():
                self._timer = loop.call_at(due, self.resume)
                return
            self._waiting.popleft()
            self.waiting_bytes -= len(data)
            self._deliver(data)

    def close(self) -> None:
        """Drop all that is on its way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        self.waiting_bytes = 0


class Processor:
    """Runs the commands of all connections one after the other; at no cost and
    no stall they run at once.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._jobs: deque[tuple[float, Callable[[], None]]] = deque()
        self._busy_until = 0.0
        self._stalled_until = 0.0
        self._used = 0
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job when the processor comes to it."""
        faults = self._faults
        if (
            not faults.per_command_ms
            and not self._jobs
            and not self._stalled_until
            and not faults.burst
        ):
            job()
            return
        now = asyncio.get_running_loop().time()
        self._busy_until = max(now, self._busy_until) + self._cost(now)
        self._jobs.append((self._busy_until, job))
        self._work()

    def _cost(self, now: float) -> float:
        faults = self._faults
        if now - self._busy_until > 1:
            self._used = 0
        self._used += 1
        over = faults.burst and self._used > faults.burst
        return (faults.knee_ms if over else faults.per_command_ms) / 1000

    def stall(self, seconds: float) -> None:
        """Do nothing for a while."""
        self._stalled_until = asyncio.get_running_loop().time() + seconds
        self._work()

    def _work(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        if self._stalled_until:
            if loop.time() < self._stalled_until:
                self._timer = loop.call_at(self._stalled_until, self._work)
                return
            self._stalled_until = 0.0
        while self._jobs:
            due, job = self._jobs[0]
            if due > loop.time():
                self._timer = loop.call_at(due, self._work)
                return
            self._jobs.popleft()
            job()

    def clear(self) -> None:
        """Drop all jobs, as a reboot does."""
        self._jobs.clear()
        self._busy_until = self._stalled_until = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

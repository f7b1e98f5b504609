"""Goes through all awaits of a path: for each a case of its own, killed there, started again and checked.

How many awaits a path has is not written down anywhere: the number goes up until runs end before it is
reached.
"""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from integration.faults.killing import Program
from integration.faults.stack import Phone, Stack, until

MOST = 500
"""More awaits than any path has: reaching it means that runs do not end."""
SURVIVORS = 3
"""Runs in a row that must end unharmed: one await more or less in a run must not end the search."""
BYSTANDER = "bystander"


class Lane:
    """A stack in which cases run one after the other.

    `paying` are phones that must have access all the while, from when they are put there; `stranger` never.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.bystander, self.stranger = stack.new_phone(), stack.new_phone()
        self.paying: list[Phone] = []
        self.wrong: list[str] = []
        self.notes: Counter[str] = Counter()
        self.number = 0

    async def begin(self) -> None:
        if self.stack.agent.pid is None:
            self.stack.agent.start()
        await self.stack.create(BYSTANDER, self.bystander)
        await self.stack.settled(BYSTANDER, "Active")
        self.paying.append(self.bystander)

    def next_name(self) -> str:
        self.number += 1
        return f"case-{self.number}"

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Send their packets all the while: what one of them sees wrongly is a failure."""
        watch = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
        assert not self.wrong, self.wrong

    async def _watch(self) -> None:
        while True:
            for phone in self.paying:
                if not self.stack.forwarded(phone):
                    self.wrong.append(f"{phone} pays and was cut off")
            if self.stack.forwarded(self.stranger):
                self.wrong.append(
                    f"{self.stranger} does not pay and was let in"
                )
            await asyncio.sleep(0.02)


class Case(ABC):
    """One run of a path. `killed_role` names the program that is killed in it."""

    killed_role = "agent"

    def __init__(self, lane: Lane) -> None:
        self.lane, self.stack, self.name = lane, lane.stack, lane.next_name()

    @property
    def killed(self) -> Program:
        return self.stack.programs[self.killed_role]

    def arm(self, waits: int) -> None:
        self.killed.arm(waits)

    @abstractmethod
    async def prepare(self) -> None:
        """Set the stage, with nothing killed."""

    @abstractmethod
    async def act(self) -> None:
        """Have the path begin."""

    @abstractmethod
    async def while_dead(self) -> None:
        """Have happen what happens between a kill and the start after it."""

    @abstractmethod
    async def done(self) -> bool:
        """Whether the path has ended, as far as people can see."""

    @abstractmethod
    async def verify(self) -> None:
        """Assert that all is as it should be, whether or not there was a kill."""

    async def run(self, waits: int) -> bool:
        """Run it with a kill at that many waits; gives whether it came to that."""
        await self.prepare()
        self.arm(waits)
        await self.act()

        async def ended() -> bool:
            return self.killed.exit_code() is not None or await self.done()

        await until(
            ended, lambda: f"{self.name} at {waits}\n{self.stack.logs()}"
        )
        died = self.killed.disarm()
        if died:
            assert self.killed.end() == -9, self.killed.output()
            await self.while_dead()
            self.killed.start()
            await until(
                self.done,
                lambda: (
                    f"{self.name} after a kill at {waits}\n{self.stack.logs()}"
                ),
            )
        await self.verify()
        await self.stack.check_equal()
        return died


async def go_through(
    lanes: Sequence[Lane], case: Callable[[Lane], Case], *, every: int = 1
) -> int:
    """Kill at the first, second, third ... await of the path until runs end before; gives how many there were.

    With `every` it is each so many-th only, for paths whose runs are long.
    """
    numbers = itertools.count(1, every)
    last_kill = 0
    unharmed: set[int] = set()

    async def work(lane: Lane) -> None:
        nonlocal last_kill
        while len([one for one in unharmed if one > last_kill]) < SURVIVORS:
            number = next(numbers)
            assert number <= MOST, "runs do not end"
            try:
                async with lane.watched():
                    died = await case(lane).run(number)
            except AssertionError as error:
                raise AssertionError(
                    f"killed at await {number}: {error}"
                ) from error
            if died:
                last_kill = max(last_kill, number)
            else:
                unharmed.add(number)

    async with asyncio.TaskGroup() as tasks:
        for lane in lanes:
            tasks.create_task(work(lane))
    return last_kill

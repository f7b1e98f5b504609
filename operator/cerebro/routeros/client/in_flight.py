"""One command of a session on its way: what came of it so far, and by when it
has to end.
"""

import asyncio

from cerebro.routeros.client.command import Command, Observe, Reply, Row
from cerebro.routeros.client.errors import RouterError


class InFlight:
    """A command until its `!done`. `outcome` is settled or cancelled earlier
    when nobody waits any more.
    """

    def __init__(
        self,
        command: Command,
        now: float,
        deadline: float,
        patience: float | None,
        observe: Observe | None = None,
    ) -> None:
        self.command = command
        self.observe = observe
        self.tag = ""
        self.entered = now
        self.due = now + deadline
        self.patience = patience
        self.outcome: asyncio.Future[Reply | RouterError] = (
            asyncio.get_running_loop().create_future()
        )

        self.rows: list[Row] = []
        self.size = 0
        self.started = False
        self.traps: list[str] = []
        self.category: int | None = None

    def settle(self, outcome: Reply | RouterError) -> None:
        """Note what came of the command, once, and tell whoever observes."""
        if self.outcome.done():
            return

        self.outcome.set_result(outcome)
        if self.observe is not None:
            took = asyncio.get_running_loop().time() - self.entered
            self.observe(self.command.word, took, isinstance(outcome, Reply))

"""One logged-in connection to a router, shared by any number of callers (rule
B5).

Commands carry tags and run side by side, at most 64 at once. A command's time
starts when it enters this window. Only a `!trap` leaves the connection usable;
on anything else it is closed and every command in flight fails, so that no
reply is ever taken for that of another command. Does not connect, log in or
reconnect.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self, overload

from cerebro.routeros.client.codec import BROKEN, Sentence, Wire, parse
from cerebro.routeros.client.command import Command, Observe, Reply, Row
from cerebro.routeros.client.errors import (
    ConnectionLost,
    DeadlineExceeded,
    RouterError,
    Stalled,
    Trap,
    printable,
)
from cerebro.routeros.client.in_flight import InFlight
from cerebro.runtime.pace import Pace

WINDOW = 64
WRITE_DEADLINE = 30.0
READ_DEADLINE = 120.0
QUIT_WITHIN = 1.0
_MAX_REPLY = (
    192 << 20
)  # bytes of memory that one reply may take, by the estimate below
_MAX_ROWS = 200_000  # a connection table of the largest routers
_ROW_COST, _ATTRIBUTE_COST = (
    232,
    110,
)  # bytes of a dict, and of the two strings and the slot of an attribute, when empty
_CLOSED_BY_US = "closed by this side"
_CANCEL = Command("/", "cancel")


class RouterSession:
    """Runs commands on a connection that is logged in already.

    `silence`: seconds without a byte, with commands in flight, after which the
    connection counts as dead. `login`: which of the credentials was accepted,
    0 the first. `observe` learns of each command's end.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        silence: float = 8.0,
        login: int = 0,
        observe: Observe | None = None,
    ) -> None:
        self.login = login
        self._observe = observe
        self.suspect = False  # a caller got `Stalled`: whoever owns the session should open another
        self._wire = wire
        self._silence = silence
        self._loop = asyncio.get_running_loop()
        self._window = asyncio.Semaphore(WINDOW)
        self._in_flight: dict[str, InFlight] = {}
        self._last_tag = 0
        self._busy_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._closed: str | None = None
        self._reader = self._loop.create_task(
            self._read(), name="routeros-session-reader"
        )

    @property
    def closed(self) -> str | None:
        """Why the session is closed; None while it is open."""
        return self._closed

    @property
    def in_flight(self) -> int:
        """Commands that the router has not ended yet, abandoned ones included."""
        return len(self._in_flight)

    @property
    def last_byte_at(self) -> float:
        """When the latest byte came from the router, in the event loop's time."""
        return self._wire.last_byte_at

    def bound_sending(self, seconds: float) -> None:
        """Have the connection reset when something that was sent is not
        acknowledged within `seconds`, also after this process has died; 0:
        without that bound.
        """
        self._wire.bound_sending(seconds)

    async def run(
        self,
        command: Command,
        *,
        deadline: float | None = None,
        first_byte_within: float | None = None,
    ) -> Reply:
        """Run one command and return its reply.

        `deadline`: seconds in all, from its entry into the window [30 for a
        write, 120 for a print]. `first_byte_within`: seconds of silence of the
        connection after which this caller gives up, as long as nothing of its
        reply has come; the session is then `suspect`, and the command may
        still run. Raises Trap, DeadlineExceeded, Stalled, ConnectionLost.
        Cancelling it leaves the session in step.
        """
        entry = await self._enter(command, deadline, first_byte_within)
        try:
            outcome = await entry.outcome
        finally:
            self._abandon(entry)

        if isinstance(outcome, RouterError):
            raise outcome

        return outcome

    @overload
    async def run_all(
        self,
        commands: Sequence[Command],
        *,
        deadline: float | None = None,
        return_traps: Literal[True] = True,
    ) -> list[Reply | Trap]: ...

    @overload
    async def run_all(
        self,
        commands: Sequence[Command],
        *,
        deadline: float | None = None,
        return_traps: Literal[False],
    ) -> list[Reply]: ...

    async def run_all(
        self,
        commands: Sequence[Command],
        *,
        deadline: float | None = None,
        return_traps: bool = True,
    ) -> list[Reply | Trap] | list[Reply]:
        """Run commands side by side and return their replies in the order of
        `commands`.

        A refused command gives its Trap in its place; without `return_traps`
        the first one is raised when all have ended. `deadline` is each
        command's own. The router may run them in any order. Raises as `run`.
        """

        entries: list[InFlight] = []
        outcomes: list[Reply | Trap] = []
        try:
            for command in commands:
                entries.append(await self._enter(command, deadline, None))

            for entry in entries:
                outcome = await entry.outcome
                if not isinstance(outcome, Reply | Trap):
                    raise outcome

                outcomes.append(outcome)
        finally:
            for entry in entries:
                self._abandon(entry)

        if return_traps:
            return outcomes

        replies: list[Reply] = []
        for result in outcomes:
            if isinstance(result, Trap):
                raise result

            replies.append(result)

        return replies

    async def wait_closed(self) -> str:
        """Wait until the session is closed, by whichever side, and return why."""
        await asyncio.wait({self._reader})

        return self._closed or _CLOSED_BY_US

    async def close(self) -> None:
        """Say `/quit`, so that the router does not keep the session (E14), and
        close within a second.

        What is in flight fails with ConnectionLost: wait for it first. Closing
        twice is harmless.
        """
        if self._closed is None and not self._closing:
            self._closing = True
            self._wire.write(["/quit"])

        try:
            await asyncio.wait({self._reader}, timeout=QUIT_WITHIN)
        finally:
            self._shut(_CLOSED_BY_US)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # --- into the window

    async def _enter(
        self, command: Command, deadline: float | None, patience: float | None
    ) -> InFlight:
        await self._window.acquire()

        try:
            if deadline is None:
                deadline = READ_DEADLINE if command.reads else WRITE_DEADLINE

            now = self._loop.time()
            entry = InFlight(command, now, deadline, patience, self._observe)
            self._send(entry, command.words())
        except BaseException:
            self._window.release()
            raise

        return entry

    def _send(self, entry: InFlight, words: list[str]) -> None:
        if self._closed is not None or self._closing:
            raise ConnectionLost(
                f"{entry.command.word} was not sent: {self._closed or _CLOSED_BY_US}"
            )

        self._last_tag += 1
        entry.tag = str(self._last_tag)
        words.append(f".tag={entry.tag}")
        self._wire.write(words)

        if not self._in_flight:
            self._busy_since = entry.entered

        self._in_flight[entry.tag] = entry
        self._wake_at(self._next_look(entry))

    def _abandon(self, entry: InFlight) -> None:
        """Nobody waits for this reply any more: what only reads is stopped on
        the router, a write runs on.
        """
        if entry.outcome.done() and not entry.outcome.cancelled():
            return

        entry.outcome.cancel()

        if entry.command.reads:
            self._cancel(entry)

    def _cancel(self, entry: InFlight) -> None:
        if entry.tag not in self._in_flight or self._closing:
            return

        now = self._loop.time()
        entry.due = now + self._silence
        cancel = InFlight(_CANCEL, now, self._silence, None)
        cancel.outcome.cancel()
        self._send(cancel, ["/cancel", f"=tag={entry.tag}"])

    # --- what the router says

    async def _read(self) -> None:
        pace = Pace()

        try:
            while self._closed is None:
                self._take(parse(await self._wire.read_sentence()))
                await pace.breathe()
        except BROKEN as error:
            self._shut(printable(str(error)) or type(error).__name__)
        finally:
            self._shut("the reader ended")

    def _take(self, sentence: Sentence) -> None:
        reply, tag, attributes, bare = sentence
        if reply == "!fatal":
            text = (
                " ".join(bare)
                or attributes.get("message", "")
                or "without a reason"
            )

            self._shut(f"the router ended the session: {printable(text)}")

            return

        if reply not in ("!re", "!done", "!trap", "!empty"):
            return  # MikroTik adds words in minor versions

        entry = self._in_flight.get(tag)
        if entry is None:
            self._shut(
                f"{reply} with tag {printable(tag)!r} belongs to no command"
            )

            return

        entry.started = True
        if reply == "!re":
            self._take_row(entry, attributes)
        elif reply == "!trap":
            entry.traps.append(attributes.get("message", ""))
            category = attributes.get("category", "")
            # A category has one digit; a number of thousands of them is no
            # number for Python.
            is_number = len(category) <= 3 and category.isdecimal()
            if entry.category is None and is_number:
                entry.category = int(category)
        elif reply == "!done":
            self._end(entry, attributes.get("ret"))

    def _take_row(self, entry: InFlight, row: Row) -> None:
        if entry.outcome.done():
            return

        entry.rows.append(row)
        entry.size += _ROW_COST + sum(
            _ATTRIBUTE_COST + len(name) + len(value)
            for name, value in row.items()
        )
        if entry.size > _MAX_REPLY or len(entry.rows) > _MAX_ROWS:
            bounds = f"{_MAX_ROWS} rows or {_MAX_REPLY >> 20} MiB"
            self._shut(
                f"the reply to {entry.command.word} is larger than {bounds}"
            )

    def _end(self, entry: InFlight, ret: str | None) -> None:
        self._remove(entry)

        if entry.traps:
            entry.settle(Trap(entry.command.word, entry.traps, entry.category))
        else:
            entry.settle(Reply(entry.rows, ret))

    def _remove(self, entry: InFlight) -> None:
        del self._in_flight[entry.tag]

        if (
            entry.command is not _CANCEL
        ):  # which runs beside the window, or a full one could not be cleared
            self._window.release()

    # --- time

    def _next_look(self, entry: InFlight) -> float:
        """When this command, or the silence around it, must be judged at the
        latest, as things are now.
        """
        look = min(
            entry.due,
            max(self._wire.last_byte_at, self._busy_since) + self._silence,
        )
        if (
            entry.patience is not None
            and not entry.started
            and not entry.outcome.done()
        ):
            look = min(
                look,
                max(self._wire.last_byte_at, entry.entered) + entry.patience,
            )

        return look

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= when:
                return

            self._timer.cancel()

        # One more turn of the loop before judging: what arrived while the
        # process was busy is read first.
        self._timer = self._loop.call_at(
            when, self._loop.call_soon, self._judge
        )

    def _judge(self) -> None:
        self._timer = None
        now = self._loop.time()
        for entry in list(self._in_flight.values()):
            if self._closed is not None:
                return

            if entry.due <= now:
                self._overdue(entry)
            elif self._next_look(entry) <= now:
                self._too_quiet(entry, now)

        if self._closed is None and self._in_flight:
            self._wake_at(min(map(self._next_look, self._in_flight.values())))

    def _overdue(self, entry: InFlight) -> None:
        word = entry.command.word
        if entry.outcome.done():
            self._shut(f"{word} did not end after it was given up")
            return

        entry.settle(
            DeadlineExceeded(
                f"{word} was not answered within {entry.due - entry.entered:g} s"
            )
        )

        if entry.command.reads:
            self._cancel(entry)
        else:
            self._shut(f"{word} was not answered in its time")

    def _too_quiet(self, entry: InFlight, now: float) -> None:
        if (
            max(self._wire.last_byte_at, self._busy_since) + self._silence
            <= now
        ):
            self._shut(
                f"no byte for {self._silence:g} s with {len(self._in_flight)} commands in flight"
            )

            return

        entry.settle(
            Stalled(
                f"no byte within {entry.patience:g} s after {entry.command.word}"
            )
        )

        self.suspect = True

    def _shut(self, why: str) -> None:
        """Close at once and fail what is in flight. Later calls change
        nothing.
        """

        if self._closed is not None:
            return

        self._closed = _CLOSED_BY_US if self._closing else why
        if self._timer is not None:
            self._timer.cancel()

        entries = list(self._in_flight.values())
        for entry in entries:
            self._remove(entry)
            lost = f"{entry.command.word} got no answer: {self._closed}"
            entry.settle(
                ConnectionLost(lost, outcome_unknown=not entry.command.reads)
            )

        self._wire.abort(
            reset=any(not entry.command.reads for entry in entries)
        )

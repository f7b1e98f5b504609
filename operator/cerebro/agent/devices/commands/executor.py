"""Runs one DeviceCommand on a router, at most once (rule C2).

All that can be refused, or cannot be reached, is told before the start is
written; after that each sentence is sent once.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import structlog

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.commands.allowed import Refused
from cerebro.agent.devices.commands.link import CommandLink
from cerebro.agent.devices.commands.operations import (
    Kick,
    Run,
    fill_in,
    plan_run,
)
from cerebro.agent.devices.commands.record import CommandRecord
from cerebro.agent.devices.commands.secrets import read_values
from cerebro.agent.devices.commands.sensitive import masked_text
from cerebro.agent.devices.commands.status import (
    Outcome,
    SentenceResult,
    outcome_of,
)
from cerebro.agent.devices.findings import reason_of
from cerebro.agent.tunnel_status import dialling_obstacle
from cerebro.domain.commands import latest_start
from cerebro.kube.client.server_clock import server_now
from cerebro.kube.event_reasons import (
    COMMAND_DENIED,
    COMMAND_FAILED,
    COMMAND_SUCCEEDED,
)
from cerebro.resources import Device, DeviceCommand, reasons
from cerebro.resources.naming import ANNOTATION_TRACE_ID
from cerebro.routeros.client.command import Command, Reply, Row
from cerebro.routeros.client.errors import (
    DeadlineExceeded,
    RouterError,
    SecretError,
    Trap,
    TrapKind,
)
from cerebro.routeros.client.session import RouterSession

log = logging.getLogger(__name__)

_TOLD = {
    "Succeeded": COMMAND_SUCCEEDED,
    "Failed": COMMAND_FAILED,
    "Denied": COMMAND_DENIED,
}
"""The Event about a command that is over, by its phase."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A command that may begin."""

    run: Run
    session: RouterSession
    hidden: tuple[str, ...]


class CommandExecutor:
    """Runs the commands of one Device, several at once, on its link."""

    def __init__(self, context: AgentContext, link: CommandLink) -> None:
        self._context = context
        self._link = link

    async def carry_out(self, device: Device, command: DeviceCommand) -> None:
        """Run a command, and write what came of it. It always ends: within its
        timeout, or when the API server has its end.

        All that is logged meanwhile has the trace of the command's request.
        """
        trace_id = command.metadata.annotations.get(ANNOTATION_TRACE_ID)
        if trace_id:
            structlog.contextvars.bind_contextvars(traceId=trace_id)

        structlog.contextvars.bind_contextvars(
            command=f"{command.namespace}/{command.name}"
        )

        record = CommandRecord(self._context.api, command)

        try:
            outcome = await self._outcome(device, command, record)
        except Exception:
            log.exception(
                "DeviceCommand %s/%s failed", command.namespace, command.name
            )

            outcome = _failed(
                "InternalError", "a fault of the agent, see its log"
            )

        if outcome is not None and await record.end(outcome):
            log.info(
                "DeviceCommand %s/%s: %s, %s",
                command.namespace,
                command.name,
                outcome.phase,
                outcome.reason,
            )

            self._context.recorder.post(
                command,
                _TOLD[outcome.phase],
                device=device.name,
                reason=outcome.reason,
                message=masked_text(outcome.message, outcome.hidden),
            )

    async def _outcome(
        self, device: Device, command: DeviceCommand, record: CommandRecord
    ) -> Outcome | None:
        """Return what came of a command; None if nothing is to be written: it
        is gone, or another's.
        """

        if command.status.started_at is not None:
            return _failed(
                reasons.INTERRUPTED,
                "the agent ended while the command ran: it may have run",
            )

        now = server_now(self._context.api)

        if now > latest_start(command, now):
            return _failed(
                reasons.TOO_LATE,
                "not run: it could not begin within its timeout and 2 s",
            )

        seconds = command.spec.timeout.total_seconds()
        deadline = asyncio.get_running_loop().time() + seconds

        try:
            async with asyncio.timeout_at(deadline):
                prepared = await self._prepare(device, command, deadline)
                started = await record.start()
        except Refused as error:
            return Outcome("Denied", error.reason, str(error))
        except RouterError as error:
            return _not_run(command, error)
        except TimeoutError:
            return _failed(
                reasons.NO_ANSWER,
                f"not run: router, Secret or API server were not ready within {seconds:g} s",
            )

        if not started:
            return None

        return await _run_all(prepared, deadline)

    async def _prepare(
        self, device: Device, command: DeviceCommand, deadline: float
    ) -> _Prepared:
        """Return a command that may begin, with the connection for it.

        Raises Refused, RouterError.
        """
        run = plan_run(device, command)
        obstacle = dialling_obstacle(
            device, self._context.tunnels.tunnel_up(device)
        )

        if obstacle is not None:
            raise _NoRoute(obstacle.reason, obstacle.message)

        values = await read_values(self._context.api, command, deadline)

        if command.spec.operation == "Probe" and values:
            session = await self._link.session_with(device, values)

            return _Prepared(run, session, (values["password"],))

        run = fill_in(run, values)
        session = await self._link.session(device)

        return _Prepared(run, session, tuple(values.values()))


class _NoRoute(RouterError):
    """Nothing leads to the router."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


async def _run_all(prepared: _Prepared, deadline: float) -> Outcome:
    """Run the sentences one after the other; one that the router refuses keeps
    the next ones from nothing.
    """
    results: list[SentenceResult] = []
    replies: list[Reply | None] = []
    session, run = prepared.session, prepared.run

    try:
        for command in run.commands:
            reply, result = await _run(session, command, deadline)
            replies.append(reply)
            results.append(result)

        if run.kick is not None and None not in replies:
            results = [await _kick(session, run.kick, replies, deadline)]
    except RouterError as error:
        outcome = "; what was sent last may have run" if run.writes else ""

        return Outcome(
            "Failed",
            reasons.NO_ANSWER,
            f"{error}{outcome}",
            results,
            prepared.hidden,
        )

    return outcome_of(results, prepared.hidden)


async def _run(
    session: RouterSession, command: Command, deadline: float
) -> tuple[Reply | None, SentenceResult]:
    """Run one sentence; return its reply, None if the router refused it.

    Raises RouterError if no answer came, or the time was over before it could
    be sent.
    """

    try:
        reply = await session.run(command, deadline=_time_left(deadline))
    except Trap as trap:
        return None, SentenceResult(
            refusal=_words_of(trap), category=trap.category
        )

    rows = list(reply.rows)

    # What is counted comes without rows.
    if reply.ret is not None:
        rows.append({"ret": reply.ret})

    return reply, SentenceResult(rows)


async def _kick(
    session: RouterSession,
    kick: Kick,
    replies: list[Reply | None],
    deadline: float,
) -> SentenceResult:
    """Send clients away; return the rows that were removed, and the first
    refusal.

    A row that went by itself meanwhile counts as removed. Raises RouterError.
    """
    active, hosts = (reply.rows if reply else [] for reply in replies)

    removed: list[Row] = []
    refused: list[Trap] = []

    for command, row in kick.removals(active, hosts):
        try:
            await session.run(command, deadline=_time_left(deadline))
        except Trap as trap:
            if trap.kind is not TrapKind.GONE:
                refused.append(trap)
                continue

        removed.append({**row, "menu": command.path})

    if not refused:
        return SentenceResult(removed)

    first = refused[0]

    return SentenceResult(removed, _words_of(first), first.category)


def _time_left(deadline: float) -> float:
    """Return the seconds until the deadline, in the event loop's time.

    Raises DeadlineExceeded if there are none: nothing more is sent.
    """
    left = deadline - asyncio.get_running_loop().time()

    if left <= 0:
        raise DeadlineExceeded("the timeout of the command is over")

    return left


def _words_of(trap: Trap) -> str:
    """Return a refusal in the router's words."""

    return "; ".join(filter(None, trap.messages)) or "refused"


def _not_run(command: DeviceCommand, error: RouterError) -> Outcome:
    """Return the outcome of a command whose router could not be reached."""

    if isinstance(error, _NoRoute):
        return _failed(error.reason, f"not run: {error}")

    names_secret = command.spec.secret_ref is not None

    if isinstance(error, SecretError) and names_secret:
        return _failed(reasons.SECRET_NOT_FOUND, f"not run: {error}")

    return _failed(reason_of(error), f"not run: {error}")


def _failed(reason: str, message: str) -> Outcome:
    return Outcome("Failed", reason, message)

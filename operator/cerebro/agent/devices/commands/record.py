"""The record of one DeviceCommand on the API server: that it starts, before
the first word, and how it ended (rule C2).

Each write names the version that was read. So a command that its maker deletes
meanwhile is never begun, and what somebody else wrote is never overwritten.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from cerebro.agent.devices.commands.status import (
    Outcome,
    ended_status,
    running_status,
    without_results,
)
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import Conflict, Invalid, KubeError, NotFound
from cerebro.kube.client.server_clock import server_now
from cerebro.resources import DEVICE_COMMAND, DeviceCommand
from cerebro.runtime.backoff import Backoff

log = logging.getLogger(__name__)


class CommandRecord:
    """Writes the status of one command. Not for several tasks at once."""

    def __init__(self, api: KubeApi, command: DeviceCommand) -> None:
        self._api = api
        self._command = command
        self._started_at: datetime | None = None

    async def start(self) -> bool:
        """Write that the command starts; return whether the API server
        acknowledged it.

        False: it was deleted, or somebody else began or ended it. It waits

        while the API server does not answer: the caller sets the limit, and
        then ends the command.
        """
        now = server_now(self._api)
        self._started_at = now
        status = running_status(self._command, now)

        for delay in Backoff(first=0.1, ceiling=1.0):
            try:
                await self._patch(status)
            except NotFound:
                return False
            except KubeError as error:
                log.warning("%s: not started yet: %s", self._where, error)
            else:
                return True

            # What the API server has now tells whether an answer was lost.
            await asyncio.sleep(delay)

            if not await self._read_anew():
                return False

            if self._is_started_by_us():
                return True

            if self._command.status.started_at is not None:
                return False

        raise AssertionError("a Backoff has no end")

    async def end(self, outcome: Outcome) -> bool:
        """Write how the command ended; try until the API server has it.
        Return whether it does: not if the command is gone, or was ended by
        another.
        """
        now = server_now(self._api)

        # The API server's time is known to half a second or so.
        if self._started_at is not None:
            now = max(now, self._started_at)

        status = ended_status(self._command, outcome, now)

        for delay in Backoff(first=0.1, ceiling=10.0):
            try:
                await self._patch(status)
            except NotFound:
                return False
            except Conflict:
                if not await self._read_anew():
                    return False
            except Invalid:
                log.exception("%s: its results are refused", self._where)

                if "results" not in status or status["results"] is None:
                    return False

                status = without_results(status)
            except KubeError as error:
                log.warning(
                    "%s: its end is not written: %s", self._where, error
                )
            else:
                return True

            await asyncio.sleep(delay)

        raise AssertionError("a Backoff has no end")

    async def _patch(self, status: dict[str, Any]) -> None:
        metadata = self._command.metadata
        body = await self._api.patch(
            DEVICE_COMMAND,
            metadata.namespace,
            metadata.name,
            {"metadata": {"uid": metadata.uid}, "status": status},
            subresource="status",
            resource_version=metadata.resource_version,
        )

        self._command = DeviceCommand.model_validate(body)

    async def _read_anew(self) -> bool:
        """Read the command; return whether it is the same one and still to be
        ended. While the API server does not answer, what was known holds.
        """
        metadata = self._command.metadata

        try:
            body = await self._api.get(
                DEVICE_COMMAND, metadata.namespace, metadata.name
            )
            command = DeviceCommand.model_validate(body)
        except (NotFound, ValidationError):
            return False
        except KubeError:
            return True

        if command.metadata.uid != metadata.uid or command.status.finished:
            return False

        self._command = command

        return True

    def _is_started_by_us(self) -> bool:
        started_at = self._command.status.started_at

        return started_at is not None and started_at == self._started_at

    @property
    def _where(self) -> str:
        metadata = self._command.metadata

        return f"DeviceCommand {metadata.namespace}/{metadata.name}"

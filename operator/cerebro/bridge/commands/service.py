"""Has a command run on a router: makes the DeviceCommand, waits for its end by
the watch, and answers in time (C2).
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

import structlog
from pydantic import ValidationError

from cerebro.bridge.commands.devices import CommandDevices
from cerebro.bridge.commands.outcomes import (
    check_outcome,
    not_run_in_time,
    outcome_unknown,
)
from cerebro.bridge.commands.request import (
    CommandRequest,
    command_manifest,
    owner_of,
)
from cerebro.bridge.errors import ApiError, invalid
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import (
    Conflict,
    Invalid,
    KubeError,
    NotFound,
    Unavailable,
)
from cerebro.kube.objects import Change
from cerebro.resources import DEVICE_COMMAND, DeviceCommand
from cerebro.resources.naming import ANNOTATION_DEVICE, SECRET_TYPE_COMMAND

_MARGIN = 0.1
"""Seconds before the deadline at which the answer is made."""
_GIVE_UP = 0.5
"""Seconds before that at which a command that has not begun is taken back."""

_REQUEST_TIMEOUT = 408
"""The one refusal of a request that says nothing of what became of it."""

log = structlog.get_logger(__name__)


class CommandService:
    """Runs commands on the routers of one namespace."""

    def __init__(
        self,
        api: KubeApi,
        store: Store,
        devices: CommandDevices,
        *,
        answer_within: float,
    ) -> None:
        """`answer_within`: seconds after its arrival in which a caller gets an
        answer. `store` watches the unfinished DeviceCommands.
        """
        self.devices = devices
        self._api = api
        self._store = store
        self._namespace = devices.namespace
        self._answer_within = answer_within
        self._waiters: dict[str, asyncio.Event] = {}
        self._removals: set[asyncio.Task[None]] = set()
        store.subscribe(self._changed)

    async def run(
        self, request: CommandRequest, arrived: float
    ) -> DeviceCommand:
        """Run a command; return it when it did all that it was to do.

        `arrived` is in the event loop's time. Raises ApiError, see
        `outcomes.check_outcome`.
        """
        deadline = arrived + self._answer_within - _MARGIN
        name = f"{request.device[:200].rstrip('.-')}-{secrets.token_hex(5)}"
        if asyncio.get_running_loop().time() >= deadline:
            raise not_run_in_time()

        changed = self._waiters[name] = asyncio.Event()

        try:
            async with asyncio.timeout_at(deadline):
                created = await self._create(request, name)
                finished = await self._finished(
                    request, created, changed, deadline
                )
        except TimeoutError:
            raise outcome_unknown(
                request, "the API server does not answer"
            ) from None
        finally:
            del self._waiters[name]

            if request.credentials is not None:
                self._remove_secret(name)

        check_outcome(request, finished)

        return finished

    async def _create(
        self, request: CommandRequest, name: str
    ) -> DeviceCommand:
        """Make the command, then its Secret (D2). Raises ApiError."""
        try:
            manifest = command_manifest(self._namespace, name, request)
        except ValidationError as error:
            fault = error.errors()[0]["msg"]
            raise invalid(f"no command can be made of this: {fault}") from None

        try:
            body = await self._api.create(
                DEVICE_COMMAND, self._namespace, manifest
            )
        except Invalid as error:
            raise invalid(f"no command can be made of this: {error}") from None
        except KubeError as error:
            if _made_nothing(error):
                raise _unavailable(error) from None

            raise outcome_unknown(request, str(error)) from None

        try:
            command = DeviceCommand.model_validate(body)
        except ValidationError:
            raise outcome_unknown(
                request, f"the DeviceCommand {name} cannot be read here"
            ) from None

        self._store.deliver(DEVICE_COMMAND, "MODIFIED", body)

        if request.credentials is not None:
            await self._create_secret(request, command)

        return command

    async def _create_secret(
        self, request: CommandRequest, command: DeviceCommand
    ) -> None:
        assert request.credentials is not None
        username, password = request.credentials
        data = {"username": username.encode(), "password": password.encode()}

        try:
            await self._api.create_secret(
                self._namespace,
                command.name,
                type=SECRET_TYPE_COMMAND,
                data=data,
                annotations={ANNOTATION_DEVICE: request.device},
                owner=owner_of(command),
            )
        except KubeError as error:
            raise _unavailable(error) from None

    async def _finished(
        self,
        request: CommandRequest,
        created: DeviceCommand,
        changed: asyncio.Event,
        deadline: float,
    ) -> DeviceCommand:
        """Wait until a command is over, and return it. What has not begun in
        time is taken back. Raises ApiError.
        """

        try:
            async with asyncio.timeout_at(deadline - _GIVE_UP):
                return await self._wait(request, created.name, changed)
        except TimeoutError:
            known = self._known(created.name) or created

            return await self._take_back(request, known)

    async def _wait(
        self, request: CommandRequest, name: str, changed: asyncio.Event
    ) -> DeviceCommand:
        """Wait until the watch shows that a command left the unfinished ones,
        and read it once.
        """

        while True:
            changed.clear()

            if self._known(name) is None:
                command = await self._read(request, name)

                if command.status.finished:
                    return command

            await changed.wait()

    async def _take_back(
        self, request: CommandRequest, command: DeviceCommand
    ) -> DeviceCommand:
        """Delete a command on the version that is known, if it has not begun;

        return it if it is over by now.

        Raises ApiError: 503 if it was deleted before it began, else that
        nobody knows.
        """

        if command.status.started_at is not None:
            raise outcome_unknown(request, "it began, and has not ended")

        try:
            await self._api.delete(
                DEVICE_COMMAND,
                self._namespace,
                command.name,
                uid=command.metadata.uid,
                resource_version=command.metadata.resource_version,
            )
        except Conflict:
            current = await self._read(request, command.name)

            if current.status.finished:
                return current

            raise outcome_unknown(
                request, "it began, and has not ended"
            ) from None
        except KubeError as error:
            raise outcome_unknown(request, str(error)) from None

        raise not_run_in_time()

    async def _read(self, request: CommandRequest, name: str) -> DeviceCommand:
        try:
            body = await self._api.get(DEVICE_COMMAND, self._namespace, name)

            return DeviceCommand.model_validate(body)
        except NotFound:
            raise outcome_unknown(
                request, f"the DeviceCommand {name} was deleted meanwhile"
            ) from None
        except (KubeError, ValidationError) as error:
            raise outcome_unknown(request, str(error)) from None

    def _known(self, name: str) -> DeviceCommand | None:
        """Return an unfinished command as the watch shows it."""
        stored = self._store.get(DEVICE_COMMAND, self._namespace, name)
        command = stored.read(DeviceCommand) if stored else None

        if command is None or command.status.finished:
            return None

        return command

    def _remove_secret(self, name: str) -> None:
        """Delete the Secret of a command that is over: nobody needs to wait
        until the command itself goes.
        """
        task = asyncio.create_task(self._delete_secret(name))
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    async def _delete_secret(self, name: str) -> None:
        with suppress(KubeError):
            await self._api.delete_secret(self._namespace, name)

    def _changed(self, change: Change) -> None:
        if change.kind is DEVICE_COMMAND:
            waiter = self._waiters.get(change.name)

            if waiter is not None:
                waiter.set()


def _made_nothing(error: KubeError) -> bool:
    """Return whether the API server surely made nothing: it was not reached,
    or it refused the request.

    A status of 500 or more may come of a server that made the object.
    """
    if isinstance(error, Unavailable) and not error.sent:
        return True

    status = error.status or 0

    return 400 <= status < 500 and status != _REQUEST_TIMEOUT


def _unavailable(error: KubeError) -> ApiError:
    return ApiError(
        503,
        "kubernetes_unavailable",
        f"nothing was run: {error}",
    )

"""A command over HTTP: what its caller is told, and that "it did not run" is only said when it is so."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from cerebro.bridge.commands.devices import CommandDevices
from cerebro.bridge.commands.request import CommandRequest
from cerebro.bridge.commands.service import CommandService
from cerebro.bridge.errors import ApiError
from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.store.base import TokenStore
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    KubeError,
    NotFound,
    Unavailable,
)
from cerebro.resources import DEVICE_COMMAND, DeviceCommand, Kind

READ = CommandRequest("d", operation="Arp")
WRITE = CommandRequest("d", sentences=[["/system/reboot"]])
NOW = "2026-01-31T12:00:00Z"


class Server:
    """An API server that has DeviceCommands; `agent` is told of each new one, and may change it."""

    def __init__(self) -> None:
        self.store = Store()
        self.bodies: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, dict[str, Any]] = {}
        self.agent: Callable[[str], None] = lambda _name: None
        self.error: KubeError | None = None
        self._versions = itertools.count(1)
        api = cast(KubeApi, self)
        sessions = Sessions(api, self.store, "ns")
        devices = CommandDevices(sessions, cast(TokenStore, None))
        self.service = CommandService(
            api, self.store, devices, answer_within=0.75
        )

    async def run(self, request: CommandRequest) -> DeviceCommand:
        arrived = asyncio.get_running_loop().time()
        return await self.service.run(request, arrived)

    def change(self, name: str, **status: Any) -> None:
        """Change a status as the agent does; the watch of unfinished ones brings it."""
        body = self.bodies[name]
        before = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = str(next(self._versions))
        body["status"] = {**body.get("status", {}), **status}
        if body["status"].get("finished"):
            before["metadata"]["resourceVersion"] = body["metadata"][
                "resourceVersion"
            ]
            self.store.deliver(DEVICE_COMMAND, "DELETED", before)
        else:
            self.store.deliver(DEVICE_COMMAND, "MODIFIED", copy.deepcopy(body))

    def end(self, name: str, phase: str, reason: str, **status: Any) -> None:
        state = {
            "status": "True" if phase == "Succeeded" else "False",
            "reason": reason,
            "message": "why",
            "lastTransitionTime": NOW,
        }
        conditions = [
            {"type": kind, **state} for kind in ("Complete", "Ready")
        ]
        self.change(
            name,
            phase=phase,
            finished=True,
            finishedAt=NOW,
            conditions=conditions,
            **status,
        )

    async def create(
        self, _kind: Kind, _namespace: str, manifest: dict[str, Any]
    ) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        name = manifest["metadata"]["name"]
        body = copy.deepcopy(manifest)
        body["metadata"] |= {
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": str(next(self._versions)),
        }
        self.bodies[name] = body
        answer = copy.deepcopy(body)
        asyncio.get_running_loop().call_soon(self.agent, name)
        return answer

    async def get(
        self, _kind: Kind, _namespace: str, name: str
    ) -> dict[str, Any]:
        if name not in self.bodies:
            raise NotFound("gone")
        return copy.deepcopy(self.bodies[name])

    async def delete(
        self,
        _kind: Kind,
        _namespace: str,
        name: str,
        *,
        uid: str,
        resource_version: str,
    ) -> None:
        if name not in self.bodies:
            raise NotFound("gone")
        metadata = self.bodies[name]["metadata"]
        if (metadata["uid"], metadata["resourceVersion"]) != (
            uid,
            resource_version,
        ):
            raise Conflict("another version")
        del self.bodies[name]

    async def create_secret(
        self, _namespace: str, name: str, **secret: Any
    ) -> None:
        self.secrets[name] = secret

    async def delete_secret(self, _namespace: str, name: str) -> None:
        if self.secrets.pop(name, None) is None:
            raise NotFound("gone")


async def error_of(server: Server, request: CommandRequest) -> ApiError:
    with pytest.raises(ApiError) as refused:
        await server.run(request)
    return refused.value


async def test_a_result_is_read_once_when_the_watch_shows_the_end() -> None:
    server = Server()

    def agent(name: str) -> None:
        server.change(name, phase="Running", startedAt=NOW)
        server.end(
            name,
            "Succeeded",
            "Succeeded",
            results=[{"ok": True, "rows": [{"address": "10.5.50.10"}]}],
        )

    server.agent = agent
    command = await server.run(READ)
    assert command.status.results is not None
    assert command.status.results[0].rows == [{"address": "10.5.50.10"}]
    labels = command.metadata.labels
    assert labels["app.kubernetes.io/managed-by"] == "cerebro-bridge"


@pytest.mark.parametrize(
    ("phase", "reason", "started", "read", "write"),
    [
        ("Denied", "NotAllowed", False, 403, 403),
        ("Failed", "TooLate", False, 503, 503),
        ("Failed", "ConnectionRefused", False, 503, 503),
        ("Failed", "LoginRefused", False, 503, 503),
        ("Failed", "NoAnswer", True, 504, 500),
        ("Failed", "Interrupted", True, 504, 500),
        ("Failed", "DeviceGone", True, 504, 500),
    ],
)
async def test_c2_503_is_said_only_of_what_surely_did_not_run(
    phase: str, reason: str, started: bool, read: int, write: int
) -> None:
    for request, status in ((READ, read), (WRITE, write)):
        server = Server()
        begun = {"startedAt": NOW} if started else {}
        server.agent = partial(server.end, phase=phase, reason=reason, **begun)
        error = await error_of(server, request)
        assert error.status == status, error.body()
    if started:
        assert error.code == "exec_outcome_unknown"


@pytest.mark.parametrize(
    ("oks", "write"), [((False,), 502), ((True, False), 500)]
)
async def test_f10_a_refusal_is_502_unless_a_part_was_done(
    oks: tuple[bool, ...], write: int
) -> None:
    results = [
        {"ok": ok} if ok else {"ok": ok, "error": {"message": "no"}}
        for ok in oks
    ]
    for request, status in ((READ, 502), (WRITE, write)):
        server = Server()
        server.agent = partial(
            server.end,
            phase="Failed",
            reason="SentenceRefused",
            startedAt=NOW,
            results=results,
        )
        error = await error_of(server, request)
        assert (error.status, error.code) == (status, "EXEC_ERROR")
        assert error.extra["results"][-1]["error"] == "no"


async def test_c2_what_nobody_began_is_deleted_before_503_is_said() -> None:
    server = Server()
    error = await error_of(server, WRITE)
    assert (error.status, error.code) == (503, "router_timeout")
    assert server.bodies == {}


async def test_c2_what_began_is_left_alone_and_its_outcome_is_unknown() -> (
    None
):
    server = Server()
    server.agent = lambda name: server.change(
        name, phase="Running", startedAt=NOW
    )
    error = await error_of(server, WRITE)
    assert (error.status, error.code) == (500, "exec_outcome_unknown")
    assert len(server.bodies) == 1


async def test_c2_a_start_that_the_watch_did_not_bring_keeps_it_from_503() -> (
    None
):
    server = Server()

    def agent(name: str) -> None:
        metadata = server.bodies[name]["metadata"]
        metadata["resourceVersion"] = "99"
        server.bodies[name]["status"] = {"startedAt": NOW}

    server.agent = agent
    error = await error_of(server, WRITE)
    assert (error.status, error.code) == (500, "exec_outcome_unknown")


@pytest.mark.parametrize(
    ("failure", "made_nothing"),
    [
        (Unavailable("connection refused", sent=False), True),
        (Unavailable("not allowed", status=403), True),
        (Unavailable("too many requests", status=429), True),
        (AlreadyExists("exists", status=409), True),
        (Unavailable("no answer"), False),
        (Unavailable("request timeout", status=408), False),
        (Unavailable("etcd timed out", status=500), False),
        (Unavailable("going down", status=503), False),
    ],
    ids=str,
)
async def test_c2_a_command_that_may_have_been_made_is_not_called_unmade(
    failure: KubeError, made_nothing: bool
) -> None:
    server = Server()
    server.error = failure
    error = await error_of(server, WRITE)
    expected = (
        (503, "kubernetes_unavailable")
        if made_nothing
        else (500, "exec_outcome_unknown")
    )
    assert (error.status, error.code) == expected


async def test_c2_for_a_call_that_came_too_late_nothing_is_made() -> None:
    server = Server()
    long_ago = asyncio.get_running_loop().time() - 60
    with pytest.raises(ApiError) as refused:
        await server.service.run(WRITE, long_ago)
    assert (refused.value.status, refused.value.code) == (
        503,
        "router_timeout",
    )
    assert server.bodies == {}


async def test_a_command_that_no_object_can_hold_is_a_fault_of_the_call() -> (
    None
):
    request = CommandRequest("d", sentences=[["/" + "x" * 5_000]])
    error = await error_of(Server(), request)
    assert (error.status, error.code) == (400, "invalid_payload")


async def test_d2_the_secret_is_made_after_its_command_and_goes_with_it() -> (
    None
):
    server = Server()
    made: list[dict[str, Any]] = []

    def agent(name: str) -> None:
        made.append(dict(server.secrets[name]))
        server.end(name, "Succeeded", "Succeeded")

    server.agent = agent
    request = CommandRequest(
        "d", operation="Probe", credentials=("relay", "hidden")
    )
    command = await server.run(request)
    assert "hidden" not in repr(request)
    assert made[0]["type"] == "relay.cerebro.dev/command"
    assert made[0]["annotations"] == {"relay.cerebro.dev/device": "d"}
    assert made[0]["owner"]["uid"] == command.metadata.uid
    for _ in range(5):
        await asyncio.sleep(0)
    assert server.secrets == {}

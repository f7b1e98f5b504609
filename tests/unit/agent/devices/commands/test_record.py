"""A DeviceCommand is begun at most once, whatever the API server's answers come to."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import pytest

from cerebro.agent.devices.commands.record import CommandRecord
from cerebro.agent.devices.commands.status import (
    Outcome,
    SentenceResult,
    outcome_of,
)
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import (
    Conflict,
    Invalid,
    NotFound,
    Unavailable,
)
from cerebro.resources import DeviceCommand, Kind

DONE = Outcome("Succeeded", "Succeeded", "done")


class Server:
    """One DeviceCommand on an API server. `faults` happen to the next patches, in their order."""

    clock_skew = 0.0

    def __init__(self) -> None:
        self.body: dict[str, Any] | None = {
            "metadata": {
                "name": "c",
                "namespace": "ns",
                "uid": "u",
                "generation": 1,
                "resourceVersion": "1",
            },
            "spec": {"deviceRef": {"name": "d"}, "operation": "Arp"},
        }
        self.faults: list[Callable[[], None]] = []
        self.patches = 0

    @property
    def record(self) -> CommandRecord:
        assert self.body is not None
        command = DeviceCommand.model_validate(copy.deepcopy(self.body))
        return CommandRecord(cast(KubeApi, self), command)

    @property
    def status(self) -> dict[str, Any]:
        assert self.body is not None
        return dict(self.body.get("status", {}))

    def change(self, **status: Any) -> None:
        """Change it as somebody else does."""
        assert self.body is not None
        version = int(self.body["metadata"]["resourceVersion"]) + 1
        self.body["metadata"]["resourceVersion"] = str(version)
        self.body["status"] = {**self.status, **status}

    async def patch(
        self,
        _kind: Kind,
        _namespace: str,
        _name: str,
        patch: dict[str, Any],
        *,
        subresource: str,
        resource_version: str,
    ) -> dict[str, Any]:
        assert subresource == "status"
        self.patches += 1
        assert self.patches < 20
        fault = self.faults.pop(0) if self.faults else lambda: None
        if self.body is None:
            raise NotFound("gone")
        if fault is lose_the_answer:
            self.change(**patch["status"])
        fault()
        if self.body["metadata"]["resourceVersion"] != resource_version:
            raise Conflict("another version")
        self.change(**patch["status"])
        return copy.deepcopy(self.body)

    async def get(
        self, _kind: Kind, _namespace: str, _name: str
    ) -> dict[str, Any]:
        if self.body is None:
            raise NotFound("gone")
        return copy.deepcopy(self.body)


def lose_the_answer() -> None:
    """The patch is done, and nobody hears of it."""
    raise Unavailable("no answer")


def be_away() -> None:
    raise Unavailable("no connection")


def refuse() -> None:
    raise Invalid("too large")


async def test_c2_a_start_is_acknowledged_before_anything_is_sent() -> None:
    server = Server()
    assert await server.record.start()
    assert server.status["phase"] == "Running"
    assert server.status["startedAt"]


async def test_c2_a_command_that_was_deleted_is_not_begun() -> None:
    server = Server()
    record = server.record
    server.body = None
    assert not await record.start()


@pytest.mark.parametrize("fault", [lose_the_answer, be_away])
async def test_c2_an_answer_that_was_lost_is_looked_up(
    fault: Callable[[], None],
) -> None:
    server = Server()
    server.faults = [fault]
    assert await server.record.start()
    assert server.status["phase"] == "Running"


async def test_c2_what_somebody_else_began_or_ended_is_not_begun() -> None:
    for status in (
        {"startedAt": "2026-01-31T12:00:00Z", "phase": "Running"},
        {"finished": True, "phase": "Failed"},
    ):
        server = Server()
        record = server.record
        server.change(**status)
        before = server.status
        assert not await record.start()
        assert server.status == before


async def test_c2_a_change_of_something_else_keeps_nothing_from_beginning() -> (
    None
):
    server = Server()
    record = server.record
    server.change()
    assert await record.start()


async def test_the_end_is_tried_until_it_is_written() -> None:
    server = Server()
    record = server.record
    await record.start()
    server.faults = [be_away, lose_the_answer]
    await record.end(DONE)
    assert server.status["finished"] is True
    assert server.status["phase"] == "Succeeded"


async def test_an_end_that_somebody_else_wrote_stays() -> None:
    server = Server()
    record = server.record
    await record.start()
    server.change(finished=True, phase="Failed")
    await record.end(DONE)
    assert server.status["phase"] == "Failed"


async def test_results_that_the_server_refuses_are_left_out() -> None:
    server = Server()
    record = server.record
    await record.start()
    server.faults = [refuse]
    await record.end(outcome_of([SentenceResult([{"a": "b"}])]))
    assert (server.status["finished"], server.status["truncated"]) == (
        True,
        True,
    )
    assert server.status["results"] is None

"""What an Event of ours looks like: the API server takes names as DNS has them, and 1024 bytes of note."""

import asyncio
import re
from typing import Any

import pytest

from cerebro.kube.events import Recorder
from cerebro.resources import Session
from support.manifests import session

NAME = re.compile(
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)


class Server:
    """Keeps the Events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def create_event(self, _: str, manifest: dict[str, Any]) -> None:
        self.events.append(manifest)


async def post(name: str, message: str) -> dict[str, Any]:
    server = Server()
    recorder = Recorder(server, component="agent", instance="n" * 300)  # type: ignore[arg-type]
    about = Session.model_validate(session(name, "u", 1))
    recorder.post(about, "Warning", "Contested", message, action="Repair")
    for _ in range(5):
        await asyncio.sleep(0)
    (event,) = server.events
    return event


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "x" * 253,
        "x" * 199 + "-" + "y" * 53,
        "x" * 199 + "." + "y" * 53,
        "x" * 190 + "-" * 20 + "y",
    ],
)
async def test_the_name_is_valid_for_any_name_of_an_object(name: str) -> None:
    event = await post(name, "m")
    assert len(event["metadata"]["name"]) <= 253
    assert NAME.fullmatch(event["metadata"]["name"])
    assert event["regarding"]["name"] == name


@pytest.mark.parametrize(
    "message", ["ç" * 2000, "📶" * 2000, "Caf\udce9" * 400, "short"]
)
async def test_the_note_is_cut_to_what_the_server_takes(message: str) -> None:
    event = await post("a", message)
    assert 0 < len(event["note"].encode("utf-8")) <= 1024
    assert len(event["reportingInstance"]) <= 128

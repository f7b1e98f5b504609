"""In which order statuses are written. The API server is faked: it takes whatever comes; no time is measured."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.status_writer import StatusWriter, Write
from cerebro.resources import KINDS, Kind


class Server:
    """Remembers what was written."""

    def __init__(self) -> None:
        self.written: list[tuple[str, dict[str, Any]]] = []

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: dict[str, Any], *, subresource: str
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        self.written.append((f"{kind.kind} {name}", patch["status"]))
        meta = {"name": name, "namespace": namespace, "uid": name, "resourceVersion": "1"}
        return {"kind": kind.kind, "metadata": meta, "spec": {}}


def a_write(kind: str, name: str, **status: Any) -> Write:
    return Write(KINDS[kind], "ns", name, name, status)


async def written(*writes: Write) -> list[tuple[str, dict[str, Any]]]:
    """What one worker wrote, in its order."""
    server = Server()
    writer = StatusWriter(cast(KubeApi, server), Store(), workers=1)
    for write in writes:
        writer.put(write)
    assert writer.waits(KINDS[writes[0].kind.kind], "ns", writes[0].name)
    running = asyncio.create_task(writer.run())
    await writer.drain(30)
    assert not writer.waits(KINDS[writes[0].kind.kind], "ns", writes[0].name)
    assert writer.pending() == 0
    running.cancel()
    return server.written


async def test_a_session_does_not_wait_for_all_peers() -> None:
    peers = [a_write("Peer", f"peer-{number}") for number in range(1000)]
    names = [name for name, _ in await written(*peers, a_write("Session", "one"), a_write("Session", "two"))]
    assert names.index("Session one") == 1
    assert names.index("Session two") == 3
    others = [name for name in names if name.startswith("Peer")]
    assert others == [f"Peer peer-{number}" for number in range(1000)]


async def test_a_newer_status_takes_the_place_of_one_that_waits() -> None:
    done = await written(a_write("Peer", "p", a=1, b=1), a_write("Peer", "q"), a_write("Peer", "p", a=2))
    assert done == [("Peer p", {"a": 2, "b": 1}), ("Peer q", {})]

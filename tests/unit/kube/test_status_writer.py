"""In which order statuses are written. The API server is faked: it takes whatever comes; no time is measured."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any, cast

from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import Unavailable
from cerebro.kube.status_writer import StatusWriter, Write
from cerebro.resources import KINDS, Kind


class Server:
    """Remembers what was written."""

    def __init__(self) -> None:
        self.written: list[tuple[str, dict[str, Any]]] = []

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: dict[str, Any],
        *,
        subresource: str,
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        self.written.append((f"{kind.kind} {name}", patch["status"]))
        meta = {
            "name": name,
            "namespace": namespace,
            "uid": name,
            "resourceVersion": "1",
        }
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
    names = [
        name
        for name, _ in await written(
            *peers, a_write("Session", "one"), a_write("Session", "two")
        )
    ]
    assert names.index("Session one") == 1
    assert names.index("Session two") == 3
    others = [name for name in names if name.startswith("Peer")]
    assert others == [f"Peer peer-{number}" for number in range(1000)]


async def test_a_session_does_not_wait_for_those_of_another_router() -> None:
    """Z4: two thousand statuses of one router let the first of another pass."""
    full = [
        replace(a_write("Session", f"full-{number}"), line="full")
        for number in range(2000)
    ]
    other = replace(a_write("Session", "other"), line="other")
    names = [name for name, _ in await written(*full, other)]
    assert names.index("Session other") == 1
    assert len(names) == len(full) + 1


async def test_a_newer_status_takes_the_place_of_one_that_waits() -> None:
    done = await written(
        a_write("Peer", "p", a=1, b=1),
        a_write("Peer", "q"),
        a_write("Peer", "p", a=2),
    )
    assert done == [("Peer p", {"a": 2, "b": 1}), ("Peer q", {})]


class Refusing(Server):
    """Refuses all statuses of one namespace, as a quota or a webhook does, until `heals` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.tries: Counter[str] = Counter()
        self.heals = False
        self._enough = (0, asyncio.Event())

    async def until_written(self, count: int) -> None:
        """Wait until so many statuses were written."""
        self._enough = (count, asyncio.Event())
        await asyncio.wait_for(self._enough[1].wait(), 60)

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: dict[str, Any],
        *,
        subresource: str,
    ) -> dict[str, Any]:
        self.tries[name] += 1
        if name.startswith("refused") and not self.heals:
            raise Unavailable("exceeded quota", status=403)
        answer = await super().patch(
            kind, namespace, name, patch, subresource=subresource
        )
        count, event = self._enough
        if len(self.written) >= count:
            event.set()
        return answer


async def test_z4_statuses_that_cannot_be_written_keep_no_worker_from_the_others() -> (
    None
):
    server = Refusing()
    writer = StatusWriter(cast(KubeApi, server), Store(), workers=4)
    for number in range(40):
        writer.put(a_write("Session", f"refused-{number}", a=1))
    for number in range(40):
        writer.put(a_write("Session", f"good-{number}"))
    running = asyncio.create_task(writer.run())
    await server.until_written(40)
    assert {name for name, _ in server.written} == {
        f"Session good-{number}" for number in range(40)
    }
    assert writer.pending() == 40

    # They are tried again, and what came meanwhile goes with them.
    writer.put(a_write("Session", "refused-0", b=2))
    server.heals = True
    await writer.drain(60)
    assert writer.pending() == 0
    assert ("Session refused-0", {"a": 1, "b": 2}) in server.written
    assert len(server.written) == 80
    running.cancel()


async def test_z4_each_object_that_fails_waits_longer_and_longer() -> None:
    server = Refusing()
    writer = StatusWriter(cast(KubeApi, server), Store(), workers=1)
    writer.put(a_write("Session", "refused", a=1))
    running = asyncio.create_task(writer.run())
    while server.tries["refused"] < 3:
        writer.put(a_write("Session", "refused", a=server.tries["refused"]))
        await asyncio.sleep(0.01)
    # A caller that puts a new status every 10 ms causes no further try.
    assert server.tries["refused"] == 3
    server.heals = True
    await writer.drain(60)
    assert [status for _, status in server.written] == [{"a": 2}]
    running.cancel()

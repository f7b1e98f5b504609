"""A Device's loop with everything around it replaced: router, connection, API, Lease; and a diary of what the loop
does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.outcome import PassResult
from cerebro.agent.devices.access.reconcile import AccessReconciler
from cerebro.agent.devices.connection import RouterLink
from cerebro.agent.devices.loop import DeviceLoop
from cerebro.agent.devices.model import RouterFacts
from cerebro.domain.conditions import ConditionState
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.references import device_of, hub_of, superseded_by
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.events import Recorder
from cerebro.kube.lease import Lease
from cerebro.kube.objects import StoredObject
from cerebro.kube.status_writer import StatusWriter, Write
from cerebro.resources import (
    DEVICE,
    KINDS,
    PEER,
    SESSION,
    Device,
    Session,
    format_time,
)
from cerebro.resources.naming import FINALIZER_CLEANUP
from cerebro.routeros.client.errors import RouterError
from cerebro.routeros.client.session import RouterSession
from support.faked_router import FakedRouter
from support.tables import Tables
from support.virtual_time import EPOCH, VirtualLoop

API = {
    "address": "192.0.2.1",
    "allowPlaintext": True,
    "credentialsSecretRef": {"name": "s"},
}


class Diary:
    """What happened, by turns of the loop; times count from `start`."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.start = 0.0
        self.turns: list[tuple[float, list[str]]] = []

    def turn(self) -> None:
        """Begin a turn of the loop."""
        self.turns.append((self._loop.time() - self.start, []))

    def note(self, text: str) -> None:
        """Note what the loop did in its turn."""
        if not self.turns:
            self.turn()
        self.turns[-1][1].append(text)

    def begin(self) -> None:
        """Forget what was, and count from now."""
        self.start, self.turns = self._loop.time(), []

    def text(self) -> str:
        """Return the turns with their times; equal neighbours are told together."""
        told = [
            (f"{at:.2f}".rstrip("0").rstrip("."), ", ".join(acts) or "-")
            for at, acts in self.turns
        ]
        groups = itertools.groupby(told, key=lambda turn: turn[1])
        return "; ".join(
            f"{' '.join(at for at, _ in turns)}: {acts}"
            for acts, turns in groups
        )


class DiaryLink:
    """A connection that says when it is used; `error` is what the next attempts raise."""

    facts = RouterFacts(identity="r1", serial_number="S1")

    def __init__(self, router: FakedRouter, diary: Diary) -> None:
        self.router, self._diary = router, diary
        self._open = False
        self.error: RouterError | None = None
        self.secret = "first"

    async def session(self, device: Device) -> tuple[RouterSession, bool]:
        if self._open:
            return self.router.session, False
        self._diary.note("dial")
        if self.error is not None:
            raise self.error
        self._open = True
        return self.router.session, True

    async def secret_state(self, device: Device) -> str:
        self._diary.note("secret")
        return self.secret

    def drop(self) -> None:
        self._diary.note("drop")
        self._open = False

    def drop_stale(self) -> None:
        self._diary.note("drop stale")
        self._open = False

    async def close(self) -> None:
        self._diary.note("close")
        self._open = False


class DiaryWorld:
    """An agent's context with one Device and one Session; statuses come back to the store at once.

    `script` changes what passes lead to, one entry a pass: fields of a PassResult, or an error to raise. `during`
    is called in each pass.
    """

    clock_skew = None

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, loop: VirtualLoop
    ) -> None:
        self._versions = itertools.count(1)
        self._clock = loop
        self._bodies: dict[tuple[str, str], dict[str, Any]] = {}
        self.holds = True
        self.tunnel = ConditionState("True", "Online", "")
        self.diary = Diary(loop)
        self.link = DiaryLink(FakedRouter(Tables()), self.diary)
        self.script: list[dict[str, Any] | RouterError] = []
        self.during: Callable[[], None] = lambda: None
        self.store = Store()
        self.context = AgentContext(
            api=cast(KubeApi, self),
            store=self.store,
            statuses=cast(StatusWriter, self),
            recorder=cast(Recorder, self),
            direct=cast(Lease, self),
            by_device=self.store.add_index(SESSION, device_of),
            superseding=self.store.add_index(SESSION, superseded_by),
            peers_by_hub=self.store.add_index(PEER, hub_of),
            windows=GrantWindows(),
            tunnels=self,
        )
        self._watch(monkeypatch)
        self.has_device()
        self.has_session("s")

    def owns(self, _namespace: str, _hub: str) -> bool:
        return True

    def serves(self, namespace: str, hub: str) -> bool:
        return self.owns(namespace, hub)

    def carries(self, _namespace: str, _hub: str) -> bool:
        return True

    def interface_to(self, _device: Device) -> str | None:
        return None

    def tunnel_up(self, _device: Device) -> ConditionState:
        return self.tunnel

    def wake_devices(self, _namespace: str, _hub: str) -> None:
        """No loop but the one of the test."""

    def _watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Note turns and passes in the diary."""
        world, real = self, AccessReconciler.run
        turned = self.context.turned

        def noted(loop: str) -> None:
            self.diary.turn()
            turned(loop)

        async def run(
            self: AccessReconciler, sessions: Any, changed: Any
        ) -> PassResult:
            names = (
                "all"
                if changed is None
                else " ".join(session.name for session in changed)
            )
            world.diary.note(
                f"pass {names}" + (" impatient" if self.impatient else "")
            )
            outcome = await real(self, sessions, changed)
            world.during()
            if self.urgent():
                world.diary.note("urgent")
            if not world.script:
                return outcome
            entry = world.script.pop(0)
            if isinstance(entry, RouterError):
                raise entry
            return replace(outcome, **entry)

        monkeypatch.setattr(self.context, "turned", noted)
        monkeypatch.setattr(AccessReconciler, "run", run)

    # --- what the loop needs of the agent around it

    def held(self) -> bool:
        return self.holds

    def ours_until_taken(self) -> bool:
        return self.holds

    def post(self, *_: Any, **__: Any) -> None:
        """Take an Event."""

    def put(self, write: Write) -> None:
        """Take a status, and deliver it."""
        ready: dict[str, str] = next(
            (
                entry
                for entry in write.status.get("conditions", [])
                if entry["type"] == "Ready"
            ),
            {},
        )
        phase = write.status.get("phase", "")
        self.diary.note(
            f"{write.name}={phase}{'/' if phase else ''}{ready.get('reason', '')}"
        )
        body = self._bodies[write.kind.kind, write.name]
        if self.store.get(write.kind, "ns", write.name) is None:
            return
        body["status"] = {**body.get("status", {}), **write.status}
        self._deliver(write.kind.kind, write.name)

    # --- what a test changes

    def loop(self) -> DeviceLoop:
        return DeviceLoop(
            self.context, "ns", "d", "d", cast(RouterLink, self.link)
        )

    def has_device(
        self, meta: dict[str, Any] | None = None, **spec: Any
    ) -> None:
        """Create the Device or change what it is to be."""
        merged = {
            "api": API,
            "resyncInterval": "1m",
            "circuitBreaker": {"recoveryTime": "20s"},
            **spec,
        }
        self._change("Device", "d", merged, meta or {})

    def has_deleted_device(self) -> None:
        """Let the Device wait for its rows to go."""
        meta = {
            "deletionTimestamp": format_time(EPOCH),
            "finalizers": [FINALIZER_CLEANUP],
        }
        self.has_device(meta, deletionPolicy="Cleanup")
        self.store.believe(DEVICE, "ns", ["d"])

    def has_session(
        self, name: str, ends_in: float | None = None, *, revoked: bool = False
    ) -> None:
        """Create a Session or change what it is to be; `ends_in` in seconds from now."""
        spec: dict[str, Any] = {
            "deviceRef": {"name": "d"},
            "client": {"macAddress": f"AA:00:00:00:00:{len(name):02}"},
        }
        if revoked:
            spec["revoked"] = True
        if ends_in is not None:
            end = EPOCH + timedelta(seconds=self._clock.time() + ends_in)
            spec["expiresAt"] = format_time(end)
        self._change("Session", name, spec, {})

    def has_no_session(self, name: str) -> StoredObject:
        """Delete a Session; return it as it was before."""
        stored = self.store.get(SESSION, "ns", name)
        assert stored is not None
        self._deliver("Session", name, "DELETED")
        return stored

    def _change(
        self, kind: str, name: str, spec: dict[str, Any], meta: dict[str, Any]
    ) -> None:
        body = self._bodies.setdefault(
            (kind, name), {"metadata": {"generation": 0}}
        )
        generation = body["metadata"]["generation"] + 1
        plain = {
            "name": name,
            "namespace": "ns",
            "uid": name,
            "generation": generation,
        }
        body["metadata"] = {
            **plain,
            "creationTimestamp": format_time(EPOCH),
            **meta,
        }
        body["spec"] = spec
        self._deliver(kind, name)

    def _deliver(self, kind: str, name: str, event: Any = "MODIFIED") -> None:
        body = self._bodies[kind, name]
        meta = {
            **body["metadata"],
            "resourceVersion": str(next(self._versions)),
        }
        self.store.deliver(KINDS[kind], event, {**body, "metadata": meta})

    def session(self, name: str) -> Session | None:
        """Return a Session as it is stored."""
        stored = self.store.get(SESSION, "ns", name)
        return stored.read(Session) if stored else None

    def device(self) -> Device | None:
        """Return the Device as it is stored."""
        stored = self.store.get(DEVICE, "ns", "d")
        return stored.read(Device) if stored else None

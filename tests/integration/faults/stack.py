"""The whole stack in one namespace: a simulated router in this event loop, our processes, and a client of the
API server with the administrator's rights.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError
from cerebro.resources import SESSION, Session
from controlplane.processes import free_port
from controlplane.server import ControlPlane
from integration.faults.killing import Program
from simulator.router import Router
from simulator.simulator import Simulator

LONG = os.environ.get("CEREBRO_TEST_LONG") == "1"
CERTAIN = 180.0
"""Seconds that anything may take on a busy machine; no test asserts on time."""
TOKEN, SECRET = "main-token-0123456789", "api-secret-0123456789"
ROUNDING = 1.0
"""Seconds by which a marker, in whole ones, may differ from the end that it says."""
DEVICE = "router-1"
_T = TypeVar("_T")
QUICK = {
    "CEREBRO_BACKOFF_CEILING": "1",
    "CEREBRO_LEASE_DURATION": "6",
    "CEREBRO_LEASE_RENEW_INTERVAL": "1",
    "CEREBRO_STORE_CHECK_INTERVAL": "5",
    "CEREBRO_ORPHAN_INTERVAL": "1",
    "CEREBRO_AGENT_CHECK_INTERVAL": "1",
}


@dataclass(frozen=True)
class Phone:
    """A client of the hotspot."""

    number: int

    @property
    def mac(self) -> str:
        return f"AA:BB:CC:00:{self.number >> 8:02X}:{self.number & 255:02X}"

    @property
    def ip(self) -> str:
        return f"10.5.{self.number // 200}.{self.number % 200 + 10}"

    @property
    def spec(self) -> dict[str, str]:
        return {"macAddress": self.mac, "ipAddress": self.ip}

    @property
    def address(self) -> dict[str, Any]:
        """As the billing backend writes it."""
        return {"ipAtual": self.ip, "macAtual": self.mac}


@dataclass(frozen=True)
class FirstRow:
    """A phone's binding as it first came to the router: when, and the end in its marker (unix seconds)."""

    at: float
    end: int | None


async def until(
    check: Callable[[], Awaitable[_T | None]], what: Callable[[], str] | str
) -> _T:
    """Wait until `check` gives something; fails with `what`, and never asserts on how long it took."""
    deadline = time.monotonic() + CERTAIN
    while True:
        found = await check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not within {CERTAIN:g} s: {what if isinstance(what, str) else what()}"
            )
        await asyncio.sleep(0.05)


class Stack:
    """One namespace with one router. Use `open`, and `close` at the end."""

    def __init__(
        self,
        plane: ControlPlane,
        namespace: str,
        folder: Path,
        accounts: dict[str, Path],
        **settings: str,
    ) -> None:
        self.plane, self.namespace, self.folder = plane, namespace, folder
        self.simulator = Simulator()
        self.api: KubeApi
        self.router: Router
        self.bridge_port = free_port()
        common = {
            **QUICK,
            "CEREBRO_NAMESPACE": namespace,
            "CEREBRO_HEALTH_ADDRESS": "127.0.0.1:0",
            **settings,
        }
        served = {**common, "KUBECONFIG": str(accounts["cerebro-operator"])}
        relay = {
            "RELAY_TOKEN": TOKEN,
            "RELAY_API_SECRET": SECRET,
            "PORT": str(self.bridge_port),
        }
        relay["CEREBRO_STORE"] = str(folder / "relay.db")
        environments = {
            "agent": {
                **common,
                "KUBECONFIG": str(accounts["cerebro-agent"]),
                "CEREBRO_NODE_NAME": "node-1",
            },
            "operator": {**served, "CEREBRO_IDENTITY": "operator-1"},
            "bridge": {**served, **relay},
        }
        self.programs = {
            role: Program(role, environment, folder / f"{role}.log")
            for role, environment in environments.items()
        }
        self._phones = 0
        self._first_rows: dict[str, FirstRow] = {}

    @property
    def agent(self) -> Program:
        return self.programs["agent"]

    @property
    def bridge(self) -> Program:
        return self.programs["bridge"]

    async def open(self, api: KubeApi) -> None:
        """Start the router; the Device and our processes are the test's to start."""
        self.api = api
        await self.simulator.start()
        self.router = await self.simulator.add_router(
            self.namespace, user="relay", password="secret-1"
        )
        self.router.tables["/ip/hotspot/ip-binding"].subscribe(
            self._binding_changed
        )

    async def close(self) -> None:
        for program in self.programs.values():
            program.end()
        await self.simulator.stop()

    def start(self) -> None:
        for program in self.programs.values():
            program.start()

    def pids(self) -> dict[str, int | None]:
        """Give the process ids of those that live: one that ended and came back has another."""
        return {
            role: program.pid
            for role, program in self.programs.items()
            if program.exit_code() is None
        }

    def logs(self) -> str:
        return "\n".join(
            f"--- {role}\n{program.output()}"
            for role, program in self.programs.items()
        )

    async def make_device(
        self, name: str = DEVICE, router: Router | None = None, **spec: Any
    ) -> None:
        """Make a Device with its Secret, by default that of the stack's own router."""
        bound = {
            "relay.cerebro.dev/device": name,
            "relay.cerebro.dev/address": "127.0.0.1",
        }
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "annotations": bound},
            "type": "relay.cerebro.dev/router",
            "stringData": {"username": "relay", "password": "secret-1"},
        }
        api = {
            "address": "127.0.0.1",
            "port": (router or self.router).port,
            "allowPlaintext": True,
        }
        fields = {
            "routerID": "R1",
            "api": {**api, "credentialsSecretRef": {"name": name}},
            "circuitBreaker": {"failureThreshold": 5, "recoveryTime": "1s"},
            **spec,
        }
        made = {
            "apiVersion": "relay.cerebro.dev/v1alpha1",
            "kind": "Device",
            "metadata": {"name": name},
            "spec": fields,
        }
        items = {"apiVersion": "v1", "kind": "List", "items": [secret, made]}
        await asyncio.to_thread(
            self.kubectl, "apply", "-f", "-", stdin=json.dumps(items)
        )

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.plane.kubectl(
            "--namespace", self.namespace, *arguments, stdin=stdin
        )

    # --- Sessions

    async def create(self, name: str, phone: Phone, **spec: Any) -> None:
        """Make a Session as a person does."""
        fields = {
            "deviceRef": {"name": DEVICE},
            "client": phone.spec,
            "type": "Paid",
            **spec,
        }
        await self.api.create(
            SESSION,
            self.namespace,
            {"metadata": {"name": name}, "spec": fields},
        )

    async def change(self, name: str, **spec: Any) -> None:
        await self.api.patch(SESSION, self.namespace, name, {"spec": spec})

    async def session(self, name: str) -> Session:
        return Session.model_validate(
            await self.api.get(SESSION, self.namespace, name)
        )

    async def sessions(self, *, everything: bool = False) -> list[Session]:
        """Give the unfinished ones, or all."""
        chosen = None if everything else "status.finished!=true"
        found = self.api.list_objects(
            SESSION, self.namespace, field_selector=chosen
        )
        return [Session.model_validate(body) async for body in found]

    async def settled(self, name: str, *phases: str) -> Session:
        """Wait until a Session is in one of these phases, said of its newest generation, and enforced."""
        last: list[Session] = []

        async def check() -> Session | None:
            try:
                session = await self.session(name)
            except KubeError:
                return None
            last[:] = [session]
            return (
                session
                if any(is_settled(session, phase) for phase in phases)
                else None
            )

        return await until(
            check,
            lambda: (
                f"{name} {phases}: {last[0].status if last else 'never read'}\n{self.logs()}"
            ),
        )

    # --- the router

    def new_phone(self) -> Phone:
        """Give a phone that is there and has sent a packet, which was refused: its host row is on the router."""
        self._phones += 1
        phone = Phone(self._phones)
        self.router.network.move_in(phone.mac, phone.ip)
        assert not self.forwarded(phone)
        return phone

    def forwarded(self, phone: Phone, flow: str | None = None) -> bool:
        """Send a packet of the phone: of a new connection, or of a tracked one that has that name."""
        return self.router.network.packet(phone.mac, flow).forwarded

    def rows(self) -> dict[tuple[str, str], int | None]:
        """Give our rows: (menu, MAC or address) with the end in the marker; a row twice is an error."""
        found: dict[tuple[str, str], int | None] = {}
        for menu, column in (
            ("ip-binding", "mac-address"),
            ("address-list", "address"),
        ):
            path = f"/ip/{'hotspot' if menu == 'ip-binding' else 'firewall'}/{menu}"
            for row in self.router.show(path):
                if not row.get("comment", "").startswith("cerebro:main:"):
                    continue
                key = (menu, row.get(column) or row["address"])
                assert key not in found, f"two rows for {key}"
                found[key] = _end_in(row["comment"])
        return found

    def has_row(self, phone: Phone) -> bool:
        """Whether the phone's binding came to the router at any time."""
        return phone.mac in self._first_rows

    def check_end(
        self, phone: Phone, session: Session, asked: float, duration: float
    ) -> None:
        """A11: the end is that of the first row that the router had, whatever happened since; and that one is
        a duration after a moment between when it was asked for and when the row came (unix seconds).
        """
        first, end = self._first_rows[phone.mac], session.status.expires_at
        assert first.end is not None
        assert end is not None
        assert abs(end.timestamp() - first.end) <= ROUNDING, (end, first)
        assert (
            asked + duration <= first.end <= first.at + duration + ROUNDING
        ), (asked, first)

    def _binding_changed(self, event: str, row: Any) -> None:
        if event == "add" and (
            comment := row.values.get("comment", "")
        ).startswith("cerebro:"):
            mac = str(row.values.get("mac-address"))
            self._first_rows.setdefault(
                mac, FirstRow(time.time(), _end_in(comment))
            )

    async def check_equal(self) -> None:
        """Wait until our rows on the router are those of the live Sessions, with their ends: a pass may be
        under way that brings a marker up to its Session.
        """
        wrong = [""]

        async def equal() -> bool:
            wrong[0] = await self._difference()
            return not wrong[0]

        await until(equal, lambda: f"{wrong[0]}\n{self.logs()}")

    async def _difference(self) -> str:
        """Say how our rows differ from the live Sessions; nothing where they are equal."""
        wanted: dict[tuple[str, str], float | None] = {}
        for session in await self.sessions():
            status = session.status
            if status.phase != "Active":
                continue
            if status.applied is None:
                return f"Active, and not known as whom: {session}"
            end = status.expires_at.timestamp() if status.expires_at else None
            for key in (
                ("ip-binding", status.applied.mac_address or ""),
                ("address-list", status.applied.ip_address or ""),
            ):
                before = wanted.get(key, end)
                wanted[key] = (
                    None if end is None or before is None else max(end, before)
                )
        rows = self.rows()
        if rows.keys() != wanted.keys():
            return f"rows for {rows.keys()}, Sessions for {wanted.keys()}"
        for key, marked in rows.items():
            end = wanted[key]
            same = (
                marked == end
                if marked is None or end is None
                else abs(marked - end) <= ROUNDING
            )
            if not same:
                return f"{key}: the marker says {marked}, the Session {end}"
        return ""


def is_settled(session: Session, phase: str) -> bool:
    """Whether a status says of the newest generation that the router has it."""
    status = session.status
    enforced = status.condition("Enforced")
    current = (status.observed_generation or 0) >= session.metadata.generation
    over = phase == "Active" or bool(status.finished)
    return (
        current
        and over
        and status.phase == phase
        and enforced is not None
        and enforced.status == "True"
    )


def _end_in(marker: str) -> int | None:
    """Give the end that a marker says, None for ever."""
    text = marker.rpartition(":")[2]
    return None if text == "never" else int(text)


@asynccontextmanager
async def api_server_stopped(plane: ControlPlane) -> AsyncIterator[None]:
    """Have no API server for as long as this lasts."""
    await asyncio.to_thread(plane.stop_api_server)
    try:
        yield
    finally:
        await asyncio.to_thread(plane.start_api_server)


def soon(seconds: float) -> str:
    """A moment from now, as objects have it."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )

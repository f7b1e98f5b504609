"""Finds Devices and Sessions, writes Sessions, and waits for what becomes of
them.

It decides nothing. What it writes goes into the watched store at once, so that
it reads its own writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import structlog
from pydantic import ValidationError

from cerebro.bridge.errors import ApiError, unknown_device
from cerebro.bridge.intents import Cause, Client
from cerebro.bridge.orders.causes import request_of
from cerebro.bridge.orders.outcomes import Awaited, WaitResult, judge
from cerebro.bridge.orders.writes import Create, Keep, Patch, Write
from cerebro.domain.lifecycle import is_ours
from cerebro.domain.supersession import stand_in_for
from cerebro.kube.cache.references import device_of
from cerebro.kube.cache.store import Index, Store
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import KubeError, NotFound
from cerebro.kube.objects import Change, StoredObject
from cerebro.resources import (
    DEVICE,
    PEER,
    SESSION,
    Device,
    Peer,
    Resource,
    Session,
    age_key,
)
from cerebro.resources.naming import SESSION_PLACE

R = TypeVar("R", bound=Resource)

MAX_DECISIONS = 6
"""How often an entry is decided because somebody else wrote in between; after
that it waits for its next turn.
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """A Session that somebody waits for, at the generation that was written or
    read.
    """

    name: str
    generation: int
    wanted: Awaited


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for an intent."""

    device: Device
    client: Client
    targets: tuple[Target, ...]
    """The Sessions to wait for until the router has them."""


class Sessions:
    """Devices and Sessions of one namespace. The store has the unfinished
    Sessions only.
    """

    def __init__(self, api: KubeApi, store: Store, namespace: str) -> None:
        self.namespace = namespace
        self._api = api
        self._store = store
        self._by_order = store.add_index(SESSION, _order_of)
        self._by_callers = store.add_index(SESSION, _callers_name)
        self._by_device = store.add_index(SESSION, device_of)
        self._by_mac = store.add_index(SESSION, _mac_of)
        self._by_ip = store.add_index(SESSION, _ip_of)
        self._by_user = store.add_index(SESSION, _user_of)
        self._by_superseded = store.add_index(SESSION, _superseded)
        self._devices = store.add_index(DEVICE, _router_id)
        self._waiters: dict[str, set[asyncio.Event]] = {}

        self.asked_again: dict[str, Cause] = {}
        """When orders were asked for once more, by the names of their
        Sessions, until it is noted there. Short: see `repeats`.
        """

        # Of a Session whose last change is nothing to a router: its generation,
        # and the one before, which is what the router must have.
        self._notes: dict[str, tuple[int, int]] = {}
        store.subscribe(self._changed)

    def complete(self) -> bool:
        """Return whether all Devices and unfinished Sessions are known (E7)."""
        kinds = (DEVICE, SESSION)
        return all(
            self._store.complete(kind, self.namespace) for kind in kinds
        )

    def device(self, mik_id: str) -> Device | None:
        """Return the Device with that routerID, in any case; of several the
        oldest.
        """
        key = mik_id.casefold()
        named = self._devices.get(self.namespace, key)
        if len(named) == 1:
            (stored,) = named
            return stored.read(Device)

        devices = _models(self._devices, self.namespace, key, Device)

        return min(devices, key=age_key, default=None)

    def device_to_use(self, mik_id: str) -> Device:
        """Return the Device with that routerID.

        Raises ApiError 503 for one that our models cannot read (B9), 404 if
        there is none.
        """
        device = self.device(mik_id)
        if device is not None:
            return device

        wanted = mik_id.casefold()
        for stored in self._store.frozen(DEVICE):
            is_here = stored.namespace == self.namespace
            if is_here and _raw_router_key(stored) == wanted:
                raise ApiError(
                    503,
                    "invalid_object",
                    f"the Device {stored.name} cannot be read here: correct it",
                )

        raise unknown_device(mik_id)

    def devices(self) -> list[Device]:
        """Return all Devices of the namespace that our models can read."""
        return list(self._store.models(DEVICE, Device, self.namespace))

    def device_named(self, name: str) -> Device | None:
        """Return the Device of that name."""
        stored = self._store.get(DEVICE, self.namespace, name)
        return stored.read(Device) if stored else None

    def peer_of(self, device: Device) -> Peer | None:
        """Return the Peer that the operator made for a Device; None if there
        is none, or one that cannot be read.
        """
        name = device.status.peer_name
        if name is None:
            return None

        stored = self._store.get(PEER, self.namespace, name)

        return stored.read(Peer) if stored else None

    def all(self) -> list[Session]:
        """Return all unfinished Sessions."""
        return list(self._store.models(SESSION, Session, self.namespace))

    def known(self, name: str) -> Session | None:
        """Return the unfinished Session of that name; None if the store has
        none, or one that cannot be read.
        """
        stored = self._store.get(SESSION, self.namespace, name)
        return stored.read(Session) if stored else None

    def of_user(self, device: str, user: str) -> list[Session]:
        """Return the unfinished Sessions that name this hotspot user on a
        Device.
        """
        return _models(self._by_user, self.namespace, (device, user), Session)

    def of_order(self, order_id: str) -> list[Session]:
        """Return the unfinished Sessions of an order on all Devices, of any
        type, also superseding ones.
        """
        return _models(self._by_order, self.namespace, order_id, Session)

    def named_by_callers(self, limit: int) -> list[Session]:
        """Return unfinished Sessions that their callers named, `limit` at
        most.
        """
        named = self._by_callers.get(self.namespace, SESSION_PLACE)
        models = (stored.read(Session) for stored in islice(named, limit))

        return [session for session in models if session is not None]

    def on_device(self, name: str) -> list[Session]:
        """Return the unfinished Sessions on the Device of that name, also if
        the Device is missing.
        """
        return _models(self._by_device, self.namespace, name, Session)

    def of_client(self, client: Client, device: str) -> list[Session]:
        """Return the unfinished Sessions on a Device that a client's MAC or
        address is known of, and those that stand in their places.
        """
        namespace = self.namespace
        sessions: list[Session] = []
        if client.mac is not None:
            sessions += _models(self._by_mac, namespace, client.mac, Session)

        if client.ip is not None:
            sessions += _models(self._by_ip, namespace, client.ip, Session)

        here = [one for one in sessions if one.spec.device_ref.name == device]

        return self.with_stand_ins(here)

    def with_stand_ins(self, sessions: Iterable[Session]) -> list[Session]:
        """Return Sessions, each once, and the unfinished ones that stand in
        their places.
        """
        known: dict[str, Session] = {}
        for session in sessions:
            known[session.name] = session
            known |= {one.name: one for one in self._superseding(session)}

        return list(known.values())

    def _superseding(self, session: Session) -> list[Session]:
        return _models(
            self._by_superseded, self.namespace, session.name, Session
        )

    def counting(self, names: Iterable[str]) -> list[Session]:
        """Return the unfinished Sessions of these names; ours that stands in
        place of one counts instead (A10).
        """
        sessions = []
        for name in names:
            session = self.known(name)
            if session is None:
                continue

            if not is_ours(session):
                superseding = self._superseding(session)

                session = stand_in_for(session, superseding) or session

            sessions.append(session)

        return sessions

    def generation_for_router(self, session: Session) -> int:
        """Return the generation of a Session that its router must have: later
        ones only noted when it was asked for.
        """
        generation = session.metadata.generation
        noted, before = self._notes.get(session.name, (None, generation))

        return before if noted == generation else generation

    async def read(self, name: str) -> Session | None:
        """Return a Session from the API server, finished or not; None if it
        does not exist.

        Raises KubeError, and ApiError 503 for one that our models cannot read
        (B9).
        """
        try:
            body = await self._api.get(SESSION, self.namespace, name)
        except NotFound:
            return None

        try:
            session = Session.model_validate(body)
        except ValidationError as error:
            field = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise ApiError(
                503,
                "invalid_object",
                f"the Session {name} cannot be read here, see its {field}: correct it",
            ) from None

        # Finished ones leave the watch, so nothing would ever take them out of
        # the store.
        if not session.status.finished:
            self._store.deliver(SESSION, "MODIFIED", body)

        return session

    async def read_written(
        self, writes: list[Write], error: KubeError
    ) -> dict[str, Session]:
        """Read what the writes were about, so that the next decision does not
        meet the same conflict.

        Return it by name, also what is finished and therefore not watched.
        """
        log.debug("deciding again", reason=str(error))
        sessions = [await self.read(write.name) for write in writes]

        return {one.name: one for one in sessions if one is not None}

    async def write(self, write: Write, wanted: Awaited) -> Target:
        """Carry out a write, and return what to wait for.

        Raises KubeError: AlreadyExists and Conflict mean that it must be
        decided anew.
        """
        if isinstance(write, Keep):
            return Target(
                write.name, write.session.metadata.generation, wanted
            )

        if isinstance(write, Create):
            body = await self._api.create(
                SESSION, self.namespace, dict(write.body)
            )
        else:
            body = await self._api.patch(
                SESSION, self.namespace, write.name, dict(write.body)
            )

        generation = body["metadata"].get("generation", 1)
        if isinstance(write, Patch) and write.noted_at is not None:
            noted, before = self._notes.get(write.name, (None, 0))
            matters = before if noted == write.noted_at else write.noted_at
            self._notes[write.name] = (generation, matters)
            generation = matters

        self._store.deliver(SESSION, "MODIFIED", body)

        return Target(write.name, generation, wanted)

    async def wait(self, target: Target) -> WaitResult:
        """Wait until it is known what became of a Session, and return that;
        the caller sets the limit.

        A Session that leaves the watch is read once: it is finished, or
        deleted. Raises ApiError.
        """
        changed = asyncio.Event()
        self._waiters.setdefault(target.name, set()).add(changed)

        try:
            session = self.known(target.name) or await self._read_ended(target)
            while True:
                changed.clear()
                outcome = judge(session, target.generation, target.wanted)
                if outcome is not None:
                    return outcome

                await changed.wait()
                session = self.known(target.name) or await self._read_ended(
                    target
                )
        finally:
            waiters = self._waiters[target.name]
            waiters.discard(changed)

            if not waiters:
                del self._waiters[target.name]

    async def _read_ended(self, target: Target) -> Session:
        try:
            session = await self.read(target.name)
        except KubeError as error:
            raise ApiError(
                503,
                "kubernetes_unavailable",
                f"the API server did not say: {error}",
            ) from None

        if session is None:
            raise ApiError(
                409,
                "session_deleted",
                f"the Session {target.name} was deleted meanwhile",
            )

        return session

    def _changed(self, change: Change) -> None:
        if change.kind is not SESSION:
            return

        for waiter in self._waiters.get(change.name, ()):
            waiter.set()

        session = change.new.read(Session) if change.new else None
        if session is None:
            self._notes.pop(change.name, None)
            self.asked_again.pop(change.name, None)
            return

        # What is noted at the Session need not be remembered.
        asked = self.asked_again.get(change.name)
        request = request_of(session) if asked is not None else None
        if asked and request and not request.precedes(asked):
            del self.asked_again[change.name]


def _models(
    index: Index, namespace: str, key: Hashable, model: type[R]
) -> list[R]:
    """Return the objects of an index that our models can read."""
    models = (stored.read(model) for stored in index.get(namespace, key))
    return [item for item in models if item is not None]


def _order_of(stored: StoredObject) -> str | None:
    session = stored.read(Session)
    return session.spec.order_id if session else None


def _mac_of(stored: StoredObject) -> str | None:
    session = stored.read(Session)
    return Client.of(session).mac if session else None


def _ip_of(stored: StoredObject) -> str | None:
    session = stored.read(Session)
    return Client.of(session).ip if session else None


def _user_of(stored: StoredObject) -> tuple[str, str] | None:
    """Return the Device and the hotspot user that a Session names."""
    session = stored.read(Session)
    if session is None or session.spec.hotspot_user is None:
        return None

    return session.spec.device_ref.name, session.spec.hotspot_user.name


def _superseded(stored: StoredObject) -> str | None:
    """Return the name of the Session in whose place one stands."""
    session = stored.read(Session)
    if session is None or session.spec.supersedes is None:
        return None

    return session.spec.supersedes.name


def _callers_name(stored: StoredObject) -> str | None:
    """Return the same key for each Session that its caller named."""
    order_id = _order_of(stored) or ""
    return SESSION_PLACE if order_id.startswith(SESSION_PLACE) else None


def _router_id(stored: StoredObject) -> str | None:
    device = stored.read(Device)
    return device.router_key if device else None


def _raw_router_key(stored: StoredObject) -> str:
    """Return the identifier of a Device that our models cannot read, in the
    form of `Device.router_key`: from its body, else its name.
    """
    spec = (stored.raw or {}).get("spec")
    router_id = spec.get("routerID") if isinstance(spec, dict) else None
    if isinstance(router_id, str) and router_id:
        return router_id.casefold()

    return stored.name.casefold()

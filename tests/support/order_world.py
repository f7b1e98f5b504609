"""A bridge without HTTP: a store, a few lines of an API server over a dictionary, and what carries out intents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cerebro.bridge.intents import Intent
from cerebro.bridge.order_check.check import OrderCheck
from cerebro.bridge.orders.executor import OrderExecutor
from cerebro.bridge.orders.sessions import Sessions, Written
from cerebro.bridge.orders.trials import TrialLimit
from cerebro.bridge.orders.users.executor import UserExecutor
from cerebro.bridge.orders.users.secrets import UserSecrets
from cerebro.bridge.store.base import BridgeStore, Entry
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.store import Store as ObjectStore
from cerebro.kube.client.errors import AlreadyExists, Conflict, NotFound
from cerebro.resources import DEVICE, SESSION, Session, format_time
from cerebro.runtime.clock import now_ms
from support.orders import NAMESPACE, NOW, device, merge

Body = dict[str, Any]


class Server:
    """Sessions by name, with versions and generations; `before_create` runs before each create is done."""

    def __init__(self) -> None:
        self.objects: dict[str, Body] = {}
        self.secrets: dict[str, Body] = {}
        self.before_create: Callable[[], Any] | None = None
        self._version = 100

    def put(self, body: Body) -> Body:
        self._version += 1
        meta = {"generation": 1, "creationTimestamp": format_time(NOW)}
        version = {
            "resourceVersion": str(self._version),
            "uid": body["metadata"]["name"],
        }
        stored = {**body, "metadata": {**meta, **body["metadata"], **version}}
        self.objects[body["metadata"]["name"]] = stored
        return stored

    async def create(self, _: object, __: str, body: Body) -> Body:
        hook, self.before_create = self.before_create, None
        if hook is not None:
            await hook()
        if body["metadata"]["name"] in self.objects:
            raise AlreadyExists("it exists")
        return self.put(body)

    async def patch(
        self,
        _: object,
        __: str,
        name: str,
        change: Body,
        *,
        resource_version: str | None = None,
    ) -> Body:
        old = self.objects[name]
        version = resource_version or change["metadata"].get("resourceVersion")
        if version != old["metadata"]["resourceVersion"]:
            raise Conflict("it was changed")
        meta = dict(old["metadata"])
        for notes in ("annotations", "labels"):
            changed = change["metadata"].get(notes, {})
            meta[notes] = merge(meta.get(notes, {}), changed)
        if "spec" in change:
            meta["generation"] += 1
        spec = merge(old["spec"], change.get("spec", {}))
        return self.put({**old, "metadata": meta, "spec": spec})

    async def get(self, _: object, __: str, name: str) -> Body:
        if name not in self.objects:
            raise NotFound("it is not there")
        return self.objects[name]

    async def create_secret(self, _: str, name: str, **fields: Any) -> None:
        if name in self.secrets:
            raise AlreadyExists("it exists")
        self.secrets[name] = fields

    async def delete_secret(self, _: str, name: str) -> None:
        if self.secrets.pop(name, None) is None:
            raise NotFound("it is not there")


class World:
    """One bridge without HTTP."""

    def __init__(
        self,
        store: BridgeStore,
        check: OrderCheck | None = None,
        server: Server | None = None,
        trials: int | None = None,
    ) -> None:
        self.server = server or Server()
        self.objects = ObjectStore()
        self.store = store
        self.enqueued: list[Entry] = []
        self.sessions = Sessions(self.server, self.objects, NAMESPACE)  # type: ignore[arg-type]
        self.secrets = UserSecrets(self.server, NAMESPACE, b"key")  # type: ignore[arg-type]
        self.actions = OrderExecutor(
            self.sessions,
            store,
            complete=self._complete,
            enqueue=self.enqueued.append,
            windows=GrantWindows(),
            users=UserExecutor(
                self.sessions, store, self.secrets, windows=GrantWindows()
            ),
            check=check,
            trials=TrialLimit(self.server, NAMESPACE, trials),  # type: ignore[arg-type]
        )
        self._received: int = now_ms()
        self._entries: list[Entry] = []
        self.see_device("1")

    async def _complete(self) -> None:
        return

    def see_device(self, version: str, name: str = "router-1") -> None:
        body = device(name).wire()
        body["metadata"] |= {"resourceVersion": version, "uid": name}
        body["status"] = {"identity": f"seen at {version}"}
        self.objects.deliver(DEVICE, "MODIFIED", body)

    def have(self, session: Session, **status: Any) -> None:
        """Let a Session be there, and watched unless it is finished."""
        body = {**session.wire(), "status": status}
        stored = self.server.put(body)
        if not status.get("finished"):
            self.objects.deliver(SESSION, "MODIFIED", stored)

    async def do(self, intent: Intent) -> Written:
        self._received += 1
        entry = Entry(self._received, "lane", self._received, intent)
        self._entries.append(entry)
        return await self.actions.carry_out(entry)

    async def do_again(self, number: int) -> Written:
        """Carry out the first entry (1), the second, ... once more."""
        return await self.actions.carry_out(self._entries[number - 1])

    def spec(self, name: str) -> Body:
        found: Body = self.server.objects[name]["spec"]
        return found

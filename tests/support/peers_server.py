"""What the operator's tests of addresses and Peers share: an API server, a few lines long, that feeds a store."""

from __future__ import annotations

import base64
from typing import Any

from cerebro.kube.cache.store import Store
from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    Unavailable,
)
from cerebro.kube.event_reasons import EventReason
from cerebro.kube.objects import Change
from cerebro.operator.tunnels.controller import FIELD_MANAGER, DevicePeers
from cerebro.resources import KINDS, Kind

Body = dict[str, Any]
KEY = base64.b64encode(bytes(32)).decode()
OTHER_KEY = base64.b64encode(bytes(31) + b"\4").decode()


class Server:
    """Holds objects, feeds the store, and fails when told to."""

    clock_skew = 0.0

    def __init__(self) -> None:
        self.store = Store()
        self.objects: dict[tuple[str, str], Body] = {}
        self.version = 0
        self.uids = 0
        self.writes: list[tuple[str, str, str]] = []
        self.failing = 0
        self.seen_after_failure = True
        self.peers = DevicePeers(self, self.store, self)  # type: ignore[arg-type]
        self.store.subscribe(self._changed)
        self.events: list[str] = []

    def _changed(self, change: Change) -> None:
        self.peers.changed(change)

    def post(self, _: Any, told: EventReason, **__: Any) -> None:
        self.events.append(told.reason)

    def put(
        self, kind: str, name: str, *, tell: bool = True, **body: Any
    ) -> Body:
        """Create or change an object as somebody else."""
        known = self.objects.get((kind, name))
        self.version += 1
        if known is None:
            self.uids += 1
            known = {
                "metadata": {
                    "name": name,
                    "namespace": "ns",
                    "uid": f"u{self.uids}",
                    "generation": 1,
                    "creationTimestamp": f"2026-01-01T00:00:{self.uids % 60:02d}Z",
                }
            }
        merged = {
            **known,
            **{
                part: value
                for part, value in body.items()
                if part != "metadata"
            },
        }
        merged["metadata"] = {
            **known["metadata"],
            **body.get("metadata", {}),
            "resourceVersion": str(self.version),
        }
        self.objects[kind, name] = merged
        if tell:
            self.store.deliver(KINDS[kind], "MODIFIED", merged)
        return merged

    def gone(self, kind: str, name: str) -> None:
        body = self.objects.pop((kind, name))
        self.version += 1
        body = {
            **body,
            "metadata": {
                **body["metadata"],
                "resourceVersion": str(self.version),
            },
        }
        self.store.deliver(KINDS[kind], "DELETED", body)

    def hub(self, *addresses: str) -> None:
        self.put("Hub", "hub", spec={"addresses": list(addresses)})

    def device(self, name: str, *, key: str | None = KEY, **spec: Any) -> None:
        spec = {
            "hubRef": {"name": "hub"},
            "api": {"credentialsSecretRef": {"name": "c"}},
            **spec,
        }
        self.put(
            "Device", name, spec=spec | ({"publicKey": key} if key else {})
        )

    # What the operator calls

    async def create(self, kind: Kind, _: str, manifest: Body) -> Body:
        name = manifest["metadata"]["name"]
        if (kind.kind, name) in self.objects:
            raise AlreadyExists("it exists")
        return self._written("create", kind, name, manifest)

    async def patch(
        self,
        kind: Kind,
        _: str,
        name: str,
        patch: Body,
        *,
        resource_version: str,
    ) -> Body:
        if (
            self.objects[kind.kind, name]["metadata"]["resourceVersion"]
            != resource_version
        ):
            raise Conflict("another version")
        spec = {
            **self.objects[kind.kind, name]["spec"],
            **patch.get("spec", {}),
        }
        return self._written("patch", kind, name, {**patch, "spec": spec})

    async def apply(
        self,
        kind: Kind,
        _: str,
        name: str,
        manifest: Body,
        *,
        field_manager: str,
        subresource: str,
    ) -> Body:
        known = self.objects.get((kind.kind, name))
        if known is None:
            raise NotFound("no such object")
        if known["metadata"]["uid"] != manifest["metadata"]["uid"]:
            raise Conflict("another UID")
        ours = (
            ("tunnelAddress", "peerName")
            if field_manager == FIELD_MANAGER
            else ("conditions",)
        )
        left = {
            field: value
            for field, value in known.get("status", {}).items()
            if field not in ours
        }
        status = {**left, **manifest["status"]}
        return self._written(field_manager, kind, name, {"status": status})

    async def delete(
        self, kind: Kind, _: str, name: str, *, uid: str, resource_version: str
    ) -> None:
        self.writes.append(("delete", kind.kind, name))
        self.gone(kind.kind, name)

    def _written(self, how: str, kind: Kind, name: str, body: Body) -> Body:
        if self.failing:
            self.failing -= 1
            if self.seen_after_failure:
                self.put(kind.kind, name, tell=False, **body)
            raise Unavailable("no answer")
        self.writes.append((how, kind.kind, name))
        return self.put(kind.kind, name, tell=False, **body)

    async def settle(self) -> None:
        """Step until nothing is due; what failed unseen is told by the watch."""
        for _ in range(200):
            try:
                if await self.peers.step() >= 60:
                    return
            except Unavailable:
                for (kind, _), body in list(self.objects.items()):
                    self.store.deliver(KINDS[kind], "MODIFIED", body)
        raise AssertionError("it does not come to rest")

    def addresses(self) -> dict[str, str]:
        found = {
            name: body.get("status", {}).get("tunnelAddress")
            for (kind, name), body in self.objects.items()
            if kind == "Device"
        }
        return {name: address for name, address in found.items() if address}

    def allowed(self, peer: str) -> list[str]:
        return list(self.objects["Peer", peer]["spec"]["allowedIPs"])

    def ready(self, name: str) -> str | None:
        conditions = (
            self.objects["Device", name]
            .get("status", {})
            .get("conditions", [])
        )
        return conditions[0]["reason"] if conditions else None

"""What is done with a router that came over HTTP, besides its registration:
it is deleted, brought up to date, or asked about.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from cerebro.bridge.devices import records
from cerebro.bridge.devices.answers import DeviceStatusAnswer, DoneAnswer
from cerebro.bridge.devices.registration import not_ours
from cerebro.bridge.devices.registry import Registry, not_found
from cerebro.bridge.devices.secrets import DeviceSecrets
from cerebro.bridge.devices.waiting import LOOK_AGAIN, Waiting, answered_by
from cerebro.domain.ready_owner import is_served
from cerebro.kube.client.errors import NotFound
from cerebro.resources import DEVICE, Device, Peer
from cerebro.resources.naming import (
    ANNOTATION_RESYNC_AT,
    came_over_http,
    device_name,
)

_NO_LOGIN = {
    "UNREACHABLE": "MIKROTIK_UNREACHABLE",
    "AUTH_FAILED": "MIKROTIK_AUTH_FAILED",
}
"""The error code of a router that was not brought up to date, by how its API
answered.
"""


class Routers:
    """The routers of one namespace."""

    def __init__(self, registry: Registry, secrets: DeviceSecrets) -> None:
        self._registry = registry
        self._secrets = secrets

    async def status(
        self, device_id: str, deadline: float
    ) -> DeviceStatusAnswer:
        """Return how a router is. Raises ApiError 404 `device_not_found`."""
        async with answered_by(deadline):
            device = self._registry.existing(device_id)
            peer = await self._registry.peer_of(device)

            return records.device_status(device, peer)

    async def sync(self, device_id: str, deadline: float) -> DoneAnswer:
        """Have a router compared with what it is to be; answer once that is
        done and nothing is left to do.

        A person's Device is not marked for that: its agent compares it by
        itself. Raises ApiError 404 `device_not_found`, 503.
        """
        async with answered_by(deadline) as waiting:
            device = self._registry.existing(device_id)
            if self._registry.settings.dry_run:
                return DoneAnswer(dry_run=True)

            mark: str | None = None
            if came_over_http(device):
                mark = datetime.now(UTC).isoformat(timespec="microseconds")
                written = await self._registry.api.patch(
                    DEVICE,
                    self._registry.namespace,
                    device.name,
                    {
                        "metadata": {
                            "annotations": {ANNOTATION_RESYNC_AT: mark}
                        }
                    },
                )
                self._registry.deliver(written)

            await self._until_compared(device.name, mark, waiting)

            return DoneAnswer()

    async def remove(self, device_id: str, deadline: float) -> DoneAnswer:
        """Delete a router's Device; answer once its Peer and its Secrets are
        gone too.

        Raises ApiError 404 `device_not_found`, 409 `device_not_ours`, and 503
        `removal_pending` that says what is still there.
        """
        registry = self._registry

        async with answered_by(deadline) as waiting:
            registry.check_complete()
            device = registry.sessions.device(device_id)
            if device is None:
                await self._until_peer_is_gone(
                    device_name(device_id), None, waiting, device_id
                )

                return DoneAnswer()

            if not came_over_http(device):
                raise not_ours(device, "deletion")

            if registry.settings.dry_run:
                return DoneAnswer(dry_run=True)

            peer = await registry.peer_of(device)
            with suppress(NotFound):
                await registry.api.delete(
                    DEVICE,
                    registry.namespace,
                    device.name,
                    uid=device.metadata.uid,
                )

            await self._until_gone(device, waiting)
            await self._drop_secrets(device, peer)
            if peer is not None:
                await self._until_peer_is_gone(
                    peer.name, peer.metadata.uid, waiting, device_id
                )

            return DoneAnswer()

    async def _until_compared(
        self, name: str, mark: str | None, waiting: Waiting
    ) -> None:
        """Wait until a Device is Ready, after the comparison that `mark` asked
        for.
        """
        while True:
            device = await self._registry.still_there(name)
            ready = device.status.condition("Ready")
            is_ready = ready is not None and is_served(ready)
            is_current = (
                ready is not None
                and ready.observed_generation == device.metadata.generation
            )
            was_compared = mark in (None, device.status.last_resync_at)
            if is_ready and is_current and was_compared:
                return

            mik = records.mik_status(device)
            waiting.waits(
                _NO_LOGIN.get(mik.status, "router_timeout"),
                f"the router {device.router_id} has not been brought up to date yet, and will be: "
                f"{mik.detail or 'its agent has not compared it'}",
            )

            await asyncio.sleep(LOOK_AGAIN)

    async def _until_gone(self, device: Device, waiting: Waiting) -> None:
        """Wait until a Device is gone; one with `deletionPolicy: Cleanup`
        stays until its agent has cleaned the router.
        """
        waiting.waits(
            "removal_pending",
            f"the Device {device.name} is being deleted, and waits for its agent to clean the router up: "
            "ask again",
        )

        while True:
            try:
                body = await self._registry.api.get(
                    DEVICE, self._registry.namespace, device.name
                )
            except NotFound:
                break

            if body["metadata"]["uid"] != device.metadata.uid:
                break

            await asyncio.sleep(LOOK_AGAIN)

        self._registry.forget(device)

    async def _until_peer_is_gone(
        self, name: str, uid: str | None, waiting: Waiting, device_id: str
    ) -> None:
        """Wait until a Peer is gone. Without a `uid` it is that of a Device
        which is gone already.

        Raises ApiError 404 `device_not_found` if neither was there.
        """
        waiting.waits(
            "removal_pending",
            f"the Device is deleted; the Peer {name} waits until its key is off the hub's interface: ask again",
        )

        was_there = uid is not None
        while True:
            peer = await self._registry.peer(name)
            if peer is None or not _is_the_same(peer, name, uid):
                break

            was_there = True
            await asyncio.sleep(LOOK_AGAIN)

        if not was_there:
            raise not_found(device_id)

    async def _drop_secrets(self, device: Device, peer: Peer | None) -> None:
        """Delete the Secrets of a Device that is gone: Kubernetes does so too,
        later.
        """
        login = device.spec.api.credentials_secret_ref.name
        await self._secrets.drop(device, "router", login)

        reference = peer.spec.preshared_key_secret_ref if peer else None
        if reference is not None:
            await self._secrets.drop(device, "preshared", reference.name)


def _is_the_same(peer: Peer, name: str, uid: str | None) -> bool:
    """Return whether a Peer is the one with a UID; without a UID, whether it
    was made for the Device of that name.
    """
    if uid is not None:
        return peer.metadata.uid == uid

    reference = peer.spec.device_ref
    return reference is not None and reference.name == name

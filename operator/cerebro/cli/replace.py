"""`cerebro replace`: has a Device mean the router that stands in its place now, and waits until that one serves.

Writes `spec` of the Device with the rights of the person, and nothing else. The agent does the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from cerebro.cli.cluster import Cluster, CommandError, model
from cerebro.cli.replacement import (
    Replacement,
    changes,
    described,
    device_obstacle,
    is_live,
    kept_by,
    owner_of_serial,
    patch_text,
    seen_serial_number,
    session_obstacle,
)
from cerebro.kube.client.errors import Conflict, NotFound
from cerebro.resources import DEVICE, SESSION, Device, Peer, Session
from cerebro.runtime.clock import monotonic

LOOK_AGAIN = 1.0
"""Seconds between two looks at what is still to come."""

NOT_DONE = 3
"""Exit status if something is still to come."""

_ATTEMPTS = 10
"""Writes that are tried while the agent writes the Device's status meanwhile."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for."""

    device: str

    serial_number: str | None
    """The serial number of the new router; None: of the one that answers."""

    public_key: str | None
    """The new router's WireGuard key; None: it has the old one's, or needs none."""

    wait: float
    """Seconds to wait for what is still to come."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """How a person is told what happens, and is asked."""

    tell: Callable[[str], None]
    """Is called with a sentence about what happens."""

    confirm: Callable[[str], bool]
    """Is called with a question; returns whether the answer is yes."""

    output: Callable[[str], None]
    """Is called with the result."""


async def run(cluster: Cluster, request: Request, dialogue: Dialogue) -> None:
    """Write the new router into the Device, and wait until it serves all live Sessions.

    Where a router answers that the Device does not mean yet, its serial number is taken. Raises KubeError, and
    CommandError: exit status 1 if nothing was written, 3 if something is still to come, or if the change is to be
    made in Git.
    """

    started = monotonic()
    deadline = started + request.wait
    wanted = Replacement(request.serial_number, request.public_key)
    last_told = ""
    written = False

    while True:
        device = await _read(cluster, request.device)
        seen = seen_serial_number(device)

        if wanted.serial_number is None and seen is not None:
            await _refuse_swapped(cluster, device, seen)
            wanted = replace(wanted, serial_number=seen)

        fields = changes(device, wanted)
        if fields:
            await _change(cluster, device, fields, dialogue)
            written = True
            started = monotonic()
            deadline = started + request.wait
            continue

        obstacle, served = await _obstacle(cluster, device, wanted)
        if obstacle is None:
            break

        remaining = deadline - monotonic()
        if remaining <= 0:
            raise CommandError(f"not done yet: {obstacle}", status=NOT_DONE)

        if obstacle != last_told:
            last_told = obstacle
            dialogue.tell(f"waiting: {obstacle}")

        await asyncio.sleep(min(LOOK_AGAIN, remaining))

    serial = device.status.serial_number or "unknown"
    took = f"{monotonic() - started:.1f} s after the change"
    when = took if written else "nothing was to be written"
    dialogue.output(
        f"Device {device.name}: the router with serial number {serial} serves all {served} live Sessions, {when}"
    )


async def _read(cluster: Cluster, name: str) -> Device:
    """Return the Device. Raises KubeError, and CommandError if there is none."""
    device = await cluster.find(Device, name)
    if device is None:
        raise CommandError(
            f"there is no Device {name!r} in the namespace {cluster.namespace}: see kubectl get devices"
        )

    return device


async def _refuse_swapped(
    cluster: Cluster, device: Device, serial: str
) -> None:
    """Raise CommandError if the router that answers is another Device's: then two were mixed up.

    Raises KubeError too.
    """
    devices = [
        model(Device, body)
        async for body in cluster.api.list_objects(DEVICE, cluster.namespace)
    ]

    owner = owner_of_serial(devices, device.name, serial)
    if owner is None:
        return

    raise CommandError(
        f"the router that answers has serial number {serial}, and is the router of the Device {owner}: were two "
        f"routers mixed up? If {device.name} is to have it, say so with --serial-number {serial}"
    )


async def _change(
    cluster: Cluster,
    device: Device,
    fields: dict[str, str],
    dialogue: Dialogue,
) -> None:
    """Show the change and make it, if the person confirms it.

    Raises KubeError, and CommandError if it is not made here.
    """
    body = await cluster.api.get(DEVICE, cluster.namespace, device.name)
    keeper = kept_by(body["metadata"])

    for line in described(device, fields):
        dialogue.tell(line)

    if keeper is not None:
        dialogue.output(patch_text(device, fields))

        raise CommandError(
            f"the Device is applied from Git by {keeper}, so nothing was written: make this change there. Then run "
            "this command once more, which waits for the Sessions",
            status=NOT_DONE,
        )

    if not dialogue.confirm("Write that?"):
        raise CommandError("nothing was written")

    await _write(cluster, device, fields)
    dialogue.tell("written")


async def _write(
    cluster: Cluster, shown: Device, fields: dict[str, str]
) -> None:
    """Write fields of the spec, unless it was changed since it was shown.

    Raises KubeError and CommandError.
    """
    for _ in range(_ATTEMPTS):
        device = await _read(cluster, shown.name)
        before, now = shown.metadata, device.metadata

        if (before.uid, before.generation) != (now.uid, now.generation):
            break

        try:
            await cluster.api.patch(
                DEVICE,
                cluster.namespace,
                shown.name,
                {"spec": fields},
                resource_version=now.resource_version,
            )
        except Conflict:
            continue
        except NotFound:
            break

        return

    raise CommandError(
        "the Device was changed meanwhile, nothing was written: run this command once more"
    )


async def _obstacle(
    cluster: Cluster, device: Device, wanted: Replacement
) -> tuple[str | None, int]:
    """Return in words what is still to come, None if nothing is, and the number of live Sessions.

    Sessions are read only once all else is well. Raises KubeError and CommandError.
    """
    obstacle = await _key_obstacle(cluster, device, wanted.public_key)
    obstacle = obstacle or device_obstacle(device, wanted)

    if obstacle is not None:
        return obstacle, 0

    of_device = f"spec.deviceRef.name={device.name}"
    sessions = [
        model(Session, body)
        async for body in cluster.api.list_objects(
            SESSION, cluster.namespace, field_selector=of_device
        )
    ]

    live = sum(1 for session in sessions if is_live(session))

    return session_obstacle(sessions), live


async def _key_obstacle(
    cluster: Cluster, device: Device, key: str | None
) -> str | None:
    """Return in words why the router does not dial in with its new key yet; None if it does, or has no new key.

    Raises KubeError and CommandError.
    """
    if key is None or device.spec.hub_ref is None:
        return None

    name = device.status.peer_name
    peer = await cluster.find(Peer, name) if name else None

    if peer is None or peer.status.applied_public_key != key:
        return "the new key is not on the Hub's interface yet"

    if peer.status.state != "Online":
        return (
            f"the router with the new key has not dialled in, its Peer {peer.name} is {peer.status.state}: paste "
            f"into it what `cerebro bootstrap {device.name}` prints"
        )

    return None

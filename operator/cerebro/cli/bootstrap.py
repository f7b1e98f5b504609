"""`cerebro bootstrap`: reads a Device and its Hub, and returns the script for the router. It writes nothing."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cerebro.cli.cluster import Cluster, CommandError
from cerebro.resources import DEVICE, Device, Hub, Peer
from cerebro.routeros.bootstrap import (
    NotReadyError,
    script,
    tunnel_address,
    tunnel_of,
)
from cerebro.runtime.clock import monotonic

LOOK_AGAIN = 1.0
"""Seconds between two looks at what is still to come."""
NOT_READY = 3
"""Exit status if something is still to come."""
_LISTED = 8
"""Devices that a message names at most."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for."""

    device: str
    installation: str
    reset_endpoint: bool | None
    """Whether the router sets its endpoint anew after a time of silence; None: as the Hub needs it (E4)."""
    wait: float
    """Seconds to wait for what is still to come."""


async def run(
    cluster: Cluster, request: Request, tell: Callable[[str], None]
) -> list[str]:
    """Return the lines of the script; `tell` is called with what a person should know besides.

    Waits, if asked to, for what the agent or the operator still has to fill in. Raises KubeError and
    CommandError (exit status 3 for what is not there yet).
    """

    deadline = monotonic() + request.wait
    last_told = ""
    while True:
        try:
            lines, device = await _attempt(cluster, request)
            break
        except NotReadyError as error:
            remaining = deadline - monotonic()
            if not error.pending or remaining <= 0:
                may_help = error.pending and not request.wait
                hint = "; --wait SECONDS waits for it" if may_help else ""

                raise CommandError(
                    f"{error}{hint}", status=NOT_READY
                ) from None

            if str(error) != last_told:
                last_told = str(error)
                tell(f"waiting: {error}")

            await asyncio.sleep(min(LOOK_AGAIN, remaining))

    tell(await _next_step(cluster, device))

    return lines


async def _attempt(
    cluster: Cluster, request: Request
) -> tuple[list[str], Device]:
    """Return the script and the Device. Raises NotReadyError, KubeError and CommandError."""
    device = await cluster.find(Device, request.device)
    if device is None:
        raise CommandError(await _no_device(cluster, request.device))

    if device.spec.hub_ref is None:
        tunnel_address(device)  # raises, with what such a Device lacks

    assert device.spec.hub_ref is not None, "tunnel_address has refused it"

    hub = await cluster.find(Hub, device.spec.hub_ref.name)
    if hub is None:
        raise CommandError(
            f"the Hub {device.spec.hub_ref.name}, spec.hubRef of the Device {device.name}, does not exist in the "
            f"namespace {cluster.namespace}: create it"
        )

    tunnel = tunnel_of(
        hub,
        device,
        installation=request.installation,
        reset_endpoint=request.reset_endpoint,
    )

    return script(tunnel, hand_back(cluster.namespace, device.name)), device


def hand_back(namespace: str, name: str) -> tuple[str, str]:
    """Return the command that takes a router's public key: the text before the key, and the text after it."""
    start = f"kubectl -n {namespace} patch device {name} --type=merge -p "

    return f'{start}\'{{"spec":{{"publicKey":"', "\"}}'"


async def _no_device(cluster: Cluster, name: str) -> str:
    """Return that there is no such Device, and which Device may have been meant. Raises KubeError."""
    router_ids: dict[str, str] = {}
    async for body in cluster.api.list_objects(DEVICE, cluster.namespace):
        router_ids[body["metadata"]["name"]] = str(
            body["spec"].get("routerID", "")
        )

    absent = (
        f"there is no Device {name!r} in the namespace {cluster.namespace}"
    )

    if not router_ids:
        return f"{absent}, nor any other: name the namespace with -n"

    similar = _similar(name, router_ids)
    if not similar:
        listed = ", ".join(sorted(router_ids)[:_LISTED])
        more = ", …" if len(router_ids) > _LISTED else ""

        return f"{absent}; there are {listed}{more}"

    described = []
    for device in similar:
        router_id = router_ids[device]
        described.append(
            f"{device} (routerID {router_id!r})" if router_id else device
        )

    return f"{absent}; did you mean {' or '.join(described)}?"


def _similar(name: str, router_ids: Mapping[str, str]) -> list[str]:
    """Return the Devices whose name or routerID is like `name`, the likeliest first; case does not count.

    `router_ids` has the routerID of each Device, "" if it has none.
    """

    wanted = name.casefold()
    same = [
        device
        for device, router_id in router_ids.items()
        if wanted in (device, router_id.casefold())
    ]

    # A Device may be meant by either of its two texts.
    devices: dict[str, str] = {}
    for device, router_id in router_ids.items():
        if router_id:
            devices[router_id.casefold()] = device

        devices[device.casefold()] = device

    close = difflib.get_close_matches(wanted, devices, n=_LISTED, cutoff=0.5)

    without_repeats = dict.fromkeys(
        [*same, *(devices[text] for text in close)]
    )

    return list(without_repeats)


async def _next_step(cluster: Cluster, device: Device) -> str:
    """Return what to do with the script, or what has become of the key that was given back already.

    Raises KubeError and CommandError.
    """

    if device.spec.public_key is None:
        return (
            "Paste this into a terminal of the router. Its last line prints a command with the router's public key: "
            "run that here. For a Device kept in Git write the key into spec.publicKey there instead."
        )

    name = device.status.peer_name
    peer = await cluster.find(Peer, name) if name else None
    known = f"The Device {device.name} has the public key {device.spec.public_key} already"
    if peer is None:
        return f"{known}; the operator has made no Peer for it yet (is it running? kubectl get peers)"

    facts = [
        f"its Peer {peer.name} is {peer.status.state or 'not on the interface yet'}"
    ]

    if peer.spec.public_key != device.spec.public_key:
        facts.append("with another key still")

    for condition in peer.status.conditions:
        if condition.status != "True":
            facts.append(
                f"{condition.type} is {condition.status}, {condition.reason}: {condition.message}"
            )

    return (
        f"{known}; {'; '.join(facts)}. The script keeps the key that the router has; one that was reset makes "
        "another: then give that back with the command that it prints."
    )

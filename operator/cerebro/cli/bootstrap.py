"""`cerebro bootstrap`: reads a Device and its Hub and gives the script for the router. It writes nothing."""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Callable
from dataclasses import dataclass

from cerebro.cli.cluster import Cluster, CommandError
from cerebro.resources import DEVICE, Device, Hub, Peer
from cerebro.routeros.bootstrap import NotReadyError, script, tunnel_address, tunnel_of

LOOK_AGAIN = 1.0
NOT_READY = 3
_LISTED = 8


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. `wait` is in seconds; `reset_endpoint` None leaves it to what the Hub is (E4)."""

    device: str
    installation: str
    reset_endpoint: bool | None
    wait: float


async def run(cluster: Cluster, request: Request, tell: Callable[[str], None]) -> list[str]:
    """Give the lines of the script; `tell` is told what a person should know besides.

    Waits, if asked to, for what the agent or the operator still has to fill in. Raises KubeError and
    CommandError (exit status 3 for what is not there yet).
    """
    deadline = time.monotonic() + request.wait
    told = ""
    while True:
        try:
            lines, device = await _attempt(cluster, request)
            break
        except NotReadyError as error:
            left = deadline - time.monotonic()
            if not error.pending or left <= 0:
                hint = "" if request.wait or not error.pending else "; --wait SECONDS waits for it"
                raise CommandError(f"{error}{hint}", status=NOT_READY) from None
            if str(error) != told:
                told = str(error)
                tell(f"waiting: {error}")
            await asyncio.sleep(min(LOOK_AGAIN, left))
    tell(await _what_is_known(cluster, device))
    return lines


async def _attempt(cluster: Cluster, request: Request) -> tuple[list[str], Device]:
    device = await cluster.find(Device, request.device)
    if device is None:
        raise CommandError(await _no_device(cluster, request.device))
    if device.spec.hub_ref is None:
        tunnel_address(device)
    assert device.spec.hub_ref is not None, "tunnel_address has refused it"
    hub = await cluster.find(Hub, device.spec.hub_ref.name)
    if hub is None:
        raise CommandError(
            f"the Hub {device.spec.hub_ref.name}, spec.hubRef of the Device {device.name}, does not exist in the "
            f"namespace {cluster.namespace}: create it"
        )
    tunnel = tunnel_of(hub, device, installation=request.installation, reset_endpoint=request.reset_endpoint)
    return script(tunnel, hand_back(cluster.namespace, device.name)), device


def hand_back(namespace: str, name: str) -> tuple[str, str]:
    """Give the command that takes a router's public key, as what stands before and after the key."""
    start = f"kubectl -n {namespace} patch device {name} --type=merge -p "
    return f'{start}\'{{"spec":{{"publicKey":"', "\"}}'"


async def _no_device(cluster: Cluster, name: str) -> str:
    """Say that there is no such Device, and which one may have been meant: by name, or by routerID."""
    known = {
        item["metadata"]["name"]: str(item["spec"].get("routerID", ""))
        async for item in cluster.api.list_objects(DEVICE, cluster.namespace)
    }
    said = f"there is no Device {name!r} in the namespace {cluster.namespace}"
    if not known:
        return f"{said}, nor any other: name the namespace with -n"
    same = [one for one, router in known.items() if name.casefold() in (one, router.casefold())]
    names = {text.casefold(): one for one, router in known.items() for text in (router, one) if text}
    close = difflib.get_close_matches(name.casefold(), names, n=_LISTED, cutoff=0.5)
    similar = list(dict.fromkeys([*same, *(names[text] for text in close)]))
    if not similar:
        more = ", …" if len(known) > _LISTED else ""
        return f"{said}; there are {', '.join(sorted(known)[:_LISTED])}{more}"
    described = (f"{one} (routerID {known[one]!r})" if known[one] else one for one in similar)
    return f"{said}; did you mean {' or '.join(described)}?"


async def _what_is_known(cluster: Cluster, device: Device) -> str:
    """Say what to do with the script, or what has become of the key that was given back already."""
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
    words = [f"its Peer {peer.name} is {peer.status.state or 'not on the interface yet'}"]
    if peer.spec.public_key != device.spec.public_key:
        words.append("with another key still")
    for condition in peer.status.conditions:
        if condition.status != "True":
            words.append(f"{condition.type} is {condition.status}, {condition.reason}: {condition.message}")
    return (
        f"{known}; {'; '.join(words)}. The script keeps the key that the router has; one that was reset makes "
        "another: then give that back with the command that it prints."
    )

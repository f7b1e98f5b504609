"""`cerebro export`: objects as manifests that can be applied again, tunnel addresses and ends of access pinned (E9).

Specs are written as the API server has them, also fields that a newer release added: bodies are read without our
models, so that an object that these cannot read is exported too. Statuses, managed fields and Secrets are left out.
What statuses alone know, and what has to be the same again, goes into the specs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from cerebro.cli.cluster import Cluster
from cerebro.cli.manifest_text import yaml_of
from cerebro.kube.client.api import Manifest
from cerebro.resources import (
    API_GROUP,
    DEVICE,
    GROUP_VERSION,
    HUB,
    PEER,
    SESSION,
    Kind,
    format_time,
    parse_duration,
)
from cerebro.resources.hub import default_private_key_secret

_NOTES = ("kubectl.kubernetes.io/",)
"""Prefixes of annotations that are left out: notes of another tool on this very object."""
_REQUESTS = (f"{API_GROUP}/",)
"""Prefixes of those that are requests of one moment. Those of a Session say where it came from, and are kept."""
_ORDER = ("Hub", "Device", "Peer", "Session")
"""In which order kinds are written: what others name comes first."""
_NEVER_TOO_LATE = "8999-12-31T23:59:59Z"
"""`grantBefore` of a Session that was granted: the last second that the field takes."""


async def run(
    cluster: Cluster, tell: Callable[[str], None], *, everything: bool = False
) -> str:
    """Return the Devices of the namespace as YAML; with `everything` Hubs, Peers and Sessions too. Raises KubeError.

    `tell` is called with each sentence about what the YAML lacks.
    """

    devices = await _staying(cluster, DEVICE, tell)
    unpinned = [
        body
        for body in devices
        if "hubRef" in _spec(body) and _address(body) is None
    ]

    if unpinned:
        tell(
            f"without a tunnel address yet, so none is pinned: {_names(unpinned)}"
        )

    if not everything:
        return document(devices)

    hubs = await _staying(cluster, HUB, tell)
    peers = await _staying(cluster, PEER, tell)
    sessions = await _staying(cluster, SESSION, tell)
    lasting = [session for session in sessions if wants_access(session)]

    return document(devices, [*hubs, *peers, *lasting])


async def _staying(
    cluster: Cluster, kind: Kind, tell: Callable[[str], None]
) -> list[Manifest]:
    """Return the objects of a kind that are not being deleted. Raises KubeError."""
    going: list[Manifest] = []
    staying: list[Manifest] = []
    async for body in cluster.api.list_objects(kind, cluster.namespace):
        is_going = body["metadata"].get("deletionTimestamp")
        (going if is_going else staying).append(body)

    if going:
        tell(f"left out, being deleted: {_names(going)}")

    return staying


def document(
    devices: Iterable[Manifest], others: Iterable[Manifest] = ()
) -> str:
    """Return Devices, and objects of other kinds, as one YAML text.

    A comment before them names the Hubs and Secrets that they need and that the text does not have.
    """
    exported = [manifest(body) for body in (*others, *devices)]
    exported.sort(key=lambda body: _ORDER.index(body["kind"]))
    hubs: set[str] = set()
    secrets: set[str] = set()
    for body in exported:
        _references(body["spec"], hubs, secrets)

    for body in exported:
        if body["kind"] == "Hub":
            name = body["metadata"]["name"]
            hubs.discard(name)
            if not body["spec"].get("privateKeySecretRef"):
                secrets.add(default_private_key_secret(name))

    head = [
        "# Objects of Cérebro, with tunnel addresses and ends pinned. They need, and this does not contain:",
        f"#   Hubs: {', '.join(sorted(hubs)) or 'none'}",
        f"#   Secrets: {', '.join(sorted(secrets)) or 'none'}",
    ]

    return "\n".join([*head, yaml_of(exported) if exported else ""])


def manifest(body: Manifest) -> Manifest:
    """Return the manifest that makes an object again: a Device at its tunnel address, access with its end."""
    kind, before = body["kind"], body["metadata"]
    metadata: dict[str, Any] = {
        "name": before["name"],
        "namespace": before["namespace"],
    }

    if before.get("labels"):
        metadata["labels"] = before["labels"]

    not_kept = _NOTES if kind == "Session" else (*_NOTES, *_REQUESTS)
    annotations = {
        name: value
        for name, value in (before.get("annotations") or {}).items()
        if not name.startswith(not_kept)
    }

    if annotations:
        metadata["annotations"] = annotations

    spec = _pinned(body)

    return {
        "apiVersion": GROUP_VERSION,
        "kind": kind,
        "metadata": metadata,
        "spec": dict(sorted(spec.items())),
    }


def wants_access(session: Manifest) -> bool:
    """Return whether a Session has something to do on its router still: access that lasts, or an end to be enforced.

    One that is over stays out: made again, it would be let in again.
    """
    if not _is_current(session):
        return True  # it was changed since, and may be live again

    status = _status(session)

    return (
        status.get("finished") is not True and status.get("phase") != "Failed"
    )


def _pinned(body: Manifest) -> dict[str, Any]:
    """Return the spec, with what the status alone says: an address that was given, an end that a duration came to.

    A Session that was granted has no deadline for that any more. Without its status it would have: the `grantBefore`
    of long ago, or the window of its type after it is made again. So its deadline is one that never comes.
    """
    spec = dict(_spec(body))
    address = _address(body)
    if address:
        spec["tunnelAddress"] = address

    if body["kind"] != "Session":
        return spec

    if _status(body).get("authorizedAt"):
        spec["grantBefore"] = _NEVER_TOO_LATE

    end = _end(body)
    if end and "duration" in spec:
        del spec["duration"]
        spec["expiresAt"] = end

    return spec


def _end(session: Manifest) -> str | None:
    """Return the end that the duration of a Session comes to; None if it has not begun, or cannot be read.

    The recorded end counts if it was recorded for this spec. A duration that was changed since is counted anew from
    the grant, as the agent does; but it opens nothing that expired (rule A1).
    """
    status = _status(session)
    recorded: str | None = status.get("expiresAt")
    if recorded and (_is_current(session) or status.get("phase") == "Expired"):
        return recorded

    try:
        granted = datetime.fromisoformat(status["authorizedAt"])
        duration = parse_duration(_spec(session)["duration"])

        return format_time(granted + duration)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _is_current(session: Manifest) -> bool:
    """Return whether the status of a Session was made from the spec that it has now."""
    seen: int = _status(session).get("observedGeneration") or 0
    generation: int = session["metadata"]["generation"]

    return seen >= generation


def _spec(body: Manifest) -> dict[str, Any]:
    return body.get("spec") or {}


def _status(body: Manifest) -> dict[str, Any]:
    return body.get("status") or {}


def _address(body: Manifest) -> str | None:
    """Return the tunnel address that a Device asks for, else the one that it was given; None without a Hub."""
    spec = _spec(body)
    if body["kind"] != "Device" or "hubRef" not in spec:
        return None

    return spec.get("tunnelAddress") or _status(body).get("tunnelAddress")


def _references(value: Any, hubs: set[str], secrets: set[str]) -> None:
    """Add the names that a spec refers to, at whatever depth, to `hubs` and `secrets`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            referred = inner.get("name") if isinstance(inner, dict) else None
            if name == "hubRef" and referred:
                hubs.add(referred)
            elif name.lower().endswith("secretref") and referred:
                secrets.add(referred)
            else:
                _references(inner, hubs, secrets)
    elif isinstance(value, list):
        for inner in value:
            _references(inner, hubs, secrets)


def _names(bodies: Iterable[Manifest]) -> str:
    return ", ".join(body["metadata"]["name"] for body in bodies)

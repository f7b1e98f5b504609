"""What a swap of a router's hardware changes in its Device, what that waits for, and who keeps the Device. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cerebro.cli.manifest_text import yaml_of
from cerebro.domain.lifecycle import is_current, is_finished
from cerebro.resources import GROUP_VERSION, Device, Session, reasons

_ENDED = ("Expired", "Revoked", "Failed")
"""Phases of Sessions that a router has nothing to do for any more."""

_NAMED = 8
"""Sessions that a message names at most."""

_KEEPERS = {
    "argocd.argoproj.io/": "Argo CD",
    "argocd-": "Argo CD",
    "kustomize.toolkit.fluxcd.io/": "Flux",
    "kustomize-controller": "Flux",
    "helm.toolkit.fluxcd.io/": "Flux",
    "helm-controller": "Flux",
}
"""How labels, annotations and field managers begin by which a tool that applies manifests from Git is known."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """The router that a Device is to mean; None where nothing is known or wanted."""

    serial_number: str | None = None
    """Its serial number."""

    public_key: str | None = None
    """Its WireGuard key."""


def seen_serial_number(device: Device) -> str | None:
    """Return the serial number of the other router that answers in the Device's place.

    None if none does, or if the status is of an older spec.
    """
    ready = device.status.condition("Ready")
    generation = device.metadata.generation

    if ready is None or ready.reason != reasons.WRONG_ROUTER:
        return None

    if ready.observed_generation not in (None, generation):
        return None

    return device.status.answering_serial_number


def changes(device: Device, wanted: Replacement) -> dict[str, str]:
    """Return the fields of the spec that are to be written, with their values; empty if none is."""
    fields = {}
    serial = wanted.serial_number
    key = wanted.public_key

    if serial is not None and not _same(serial, device.spec.serial_number):
        fields["serialNumber"] = serial

    if key is not None and key != device.spec.public_key:
        fields["publicKey"] = key

    return fields


def described(device: Device, fields: Mapping[str, str]) -> list[str]:
    """Return in words what is there, and what the fields will change."""
    status = device.status
    recorded = status.serial_number or "none"
    serial = device.spec.serial_number or "empty"
    answers = status.answering_serial_number
    sessions = status.sessions
    live = 0

    if sessions is not None:
        live = (sessions.active or 0) + (sessions.pending or 0)

    before = (
        f"the router of Device {device.name} until now: serial number {recorded} (status.serialNumber), "
        f"spec.serialNumber is {serial}"
    )

    lines = [before]

    if answers is not None:
        lines.append(f"the router that answers now: serial number {answers}")

    for field, value in fields.items():
        lines.append(f"to be written: spec.{field}: {value}")

    lines.append(f"unfinished Sessions of the Device: {live}")

    return lines


def owner_of_serial(
    devices: Iterable[Device], name: str, serial: str
) -> str | None:
    """Return the name of another Device than `name` that means the router with this serial number; None if none
    does.
    """
    for device in devices:
        meant = device.spec.serial_number or device.status.serial_number

        if device.name != name and _same(serial, meant):
            return device.name

    return None


def kept_by(metadata: Mapping[str, Any]) -> str | None:
    """Return which tool applies an object from Git, by its metadata; None if none is known to.

    Such a tool would undo a change, or be undone by it.
    """
    signs = [
        *(metadata.get("labels") or {}),
        *(metadata.get("annotations") or {}),
        *(
            entry.get("manager", "")
            for entry in metadata.get("managedFields") or ()
        ),
    ]

    for sign in signs:
        for start, tool in _KEEPERS.items():
            if sign.startswith(start):
                return tool

    return None


def patch_text(device: Device, fields: Mapping[str, str]) -> str:
    """Return the change as YAML that Kustomize and `kubectl patch` take."""
    manifest = {
        "apiVersion": GROUP_VERSION,
        "kind": "Device",
        "metadata": {"name": device.name, "namespace": device.namespace},
        "spec": dict(fields),
    }

    return yaml_of([manifest])


def device_obstacle(device: Device, wanted: Replacement) -> str | None:
    """Return in words why the Device's router does not have its entries yet; None if it has.

    Only what was reported of the present spec counts.
    """
    generation = device.metadata.generation
    serial = wanted.serial_number

    for name in ("Ready", "Configured"):
        condition = device.status.condition(name)

        if (
            condition is None
            or (condition.observed_generation or 0) < generation
        ):
            return f"{name} is not reported yet of the changed Device"

        if condition.status != "True":
            return (
                f"{name} is {condition.status}, {condition.reason}: "
                f"{condition.message}"
            )

    # A router that tells no serial number leaves the recorded one.
    tells_none = "NoSerialNumber" in _ready_message(device)
    recorded = device.status.serial_number

    if serial is None or tells_none or _same(serial, recorded):
        return None

    return f"status.serialNumber is {recorded or 'empty'} still"


def session_obstacle(sessions: Iterable[Session]) -> str | None:
    """Return in words which live Sessions are not Active on the router; None if all are."""
    waiting = [
        session
        for session in sessions
        if is_live(session) and not _is_served(session)
    ]

    if not waiting:
        return None

    named = ", ".join(_with_reason(session) for session in waiting[:_NAMED])
    more = ", …" if len(waiting) > _NAMED else ""

    return f"not Active yet: {len(waiting)} Sessions ({named}{more})"


def is_live(session: Session) -> bool:
    """Return whether a Session gives access, or is to give it."""
    if session.spec.revoked or session.metadata.deletion_timestamp is not None:
        return False

    if is_finished(session):
        return False

    return session.status.phase not in _ENDED


def _is_served(session: Session) -> bool:
    ready = session.status.condition("Ready")
    is_ready = ready is not None and ready.status == "True"

    return (
        is_ready and session.status.phase == "Active" and is_current(session)
    )


def _with_reason(session: Session) -> str:
    ready = session.status.condition("Ready")

    return session.name if ready is None else f"{session.name} {ready.reason}"


def _ready_message(device: Device) -> str:
    ready = device.status.condition("Ready")

    return "" if ready is None else f"{ready.reason} {ready.message}"


def _same(first: str, second: str | None) -> bool:
    """Return whether two serial numbers are the same, as the agent compares them."""
    return first.strip().casefold() == (second or "").strip().casefold()

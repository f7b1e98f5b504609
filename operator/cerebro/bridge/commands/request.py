"""What a router is to be asked for, and the DeviceCommand that asks it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cerebro.domain.commands import READING_OPERATIONS
from cerebro.resources import (
    GROUP_VERSION,
    DeviceCommand,
    DeviceCommandSpec,
    Reference,
    label_value,
)
from cerebro.resources.device_command import Operation
from cerebro.resources.naming import (
    ANNOTATION_TRACE_ID,
    LABEL_DEVICE,
    LABEL_MANAGED_BY,
    MANAGED_BY_BRIDGE,
)

TIMEOUT = timedelta(seconds=3)
"""How long a run may take: its caller gets an answer 4 s after arrival."""
_TTL = timedelta(minutes=10)
"""How long the record of a command stays."""


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """One run on one router."""

    device: str
    """The name of the Device."""

    operation: Operation = "Raw"

    parameters: Mapping[str, str] = field(default_factory=dict)

    sentences: Sequence[Sequence[str]] = ()

    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """User and password to log in with, None for those of the Device."""

    trace_id: str = ""

    @property
    def may_be_repeated(self) -> bool:
        """Whether it changes nothing on the router, so that a caller may send
        it once more whatever became of it.
        """

        if self.operation != "Raw":
            return self.operation in READING_OPERATIONS

        return all(words[0].endswith("/print") for words in self.sentences)


def command_manifest(
    namespace: str, name: str, request: CommandRequest
) -> dict[str, Any]:
    """Return the DeviceCommand of that name, as it is created. A Secret of its
    credentials has the same name.
    """
    spec = DeviceCommandSpec(
        device_ref=Reference(name=request.device),
        operation=request.operation,
        parameters=dict(request.parameters),
        sentences=[list(words) for words in request.sentences],
        secret_ref=Reference(name=name) if request.credentials else None,
        timeout=TIMEOUT,
        ttl_after_finished=_TTL,
    )

    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": {
            LABEL_MANAGED_BY: MANAGED_BY_BRIDGE,
            LABEL_DEVICE: label_value(request.device),
        },
    }

    if request.trace_id:
        metadata["annotations"] = {ANNOTATION_TRACE_ID: request.trace_id}

    wire = spec.wire()

    for absent in ("parameters", "sentences"):
        if not wire.get(absent):
            wire.pop(absent, None)

    return {
        "apiVersion": GROUP_VERSION,
        "kind": "DeviceCommand",
        "metadata": metadata,
        "spec": wire,
    }


def owner_of(command: DeviceCommand) -> dict[str, Any]:
    """Return the owner reference by which a command's Secret dies with it
    (E6).
    """

    return {
        "apiVersion": GROUP_VERSION,
        "kind": "DeviceCommand",
        "name": command.name,
        "uid": command.metadata.uid,
    }

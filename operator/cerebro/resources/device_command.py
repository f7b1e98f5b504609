"""The model of a DeviceCommand: one run of API sentences on one router, with its result, like a Job. Pure.

Docstrings of models and fields are the descriptions in the CRD.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cerebro.resources.base import ConditionedStatus, Reference, Resource
from cerebro.resources.model import Spec, Status
from cerebro.resources.values import DurationBetween, Time, rule

Operation = Literal["Raw", "Ping", "Arp", "Active", "Kick", "Probe"]
ApiWord = Annotated[str, Field(min_length=1, max_length=4096)]
Sentence = Annotated[list[ApiWord], Field(min_length=1, max_length=64)]
Value = Annotated[str, Field(json_schema_extra={"maxLength": 65536})]
Row = Annotated[
    dict[str, Value], Field(json_schema_extra={"maxProperties": 256})
]


class DeviceCommandSpec(Spec):
    """What should be run, once; it cannot be changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "self == oldSelf",
                    "a DeviceCommand cannot be changed: delete it and make another",
                ),
                rule(
                    "self.operation != 'Raw' || (has(self.sentences) && size(self.sentences) > 0)",
                    "operation: Raw needs sentences, each a list of API words, such as "
                    '[["/system/identity/print"]]; or name another operation',
                    fieldPath=".sentences",
                ),
                rule(
                    "self.operation == 'Raw' || !has(self.sentences)",
                    "sentences are for operation: Raw only; the other operations take parameters",
                    fieldPath=".sentences",
                ),
                rule(
                    "self.operation != 'Raw' || !has(self.parameters)",
                    "parameters are for operations other than Raw; write them as API words in sentences",
                    fieldPath=".parameters",
                ),
                rule(
                    "!has(self.sentences) || "
                    "self.sentences.all(words, size(words) > 0 && words[0].startsWith('/'))",
                    "the first word of a sentence is the command with its path, such as /ip/arp/print",
                    fieldPath=".sentences",
                ),
            ]
        }
    )

    device_ref: Reference
    """The router that it runs on."""

    operation: Operation = "Raw"
    """Raw runs sentences; the others are built by the agent from parameters."""

    parameters: Annotated[
        dict[str, Annotated[str, Field(max_length=256)]], Field(max_length=16)
    ] = Field(default_factory=dict)
    """What it is about. Ping: address, count; Arp: address, macAddress; Kick: id, macAddress, address, user."""

    sentences: Annotated[list[Sentence], Field(max_length=64)] = Field(
        default_factory=list
    )
    """For Raw: sentences of API words, run in order; a word may hold $(secret:KEY)."""

    secret_ref: Reference | None = None
    """Secret of type relay.cerebro.dev/command: values for those words, or other credentials (Probe)."""

    timeout: Annotated[timedelta, DurationBetween("1s", "10m")] = timedelta(
        seconds=3
    )
    """How long the whole run may take."""

    ttl_after_finished: Annotated[
        timedelta, DurationBetween("0s", "8760h")
    ] = timedelta(minutes=10)
    """The record goes this long after its end."""


class CommandError(Status):
    """The router's trap, or why nothing was run."""

    category: Annotated[int, Field(ge=0, le=7)] | None = None
    """RouterOS' category of the trap, where it gave one."""

    message: Annotated[str, Field(json_schema_extra={"maxLength": 4096})] = ""
    """In the router's words, or ours."""


class CommandResult(Status):
    """What one sentence brought."""

    ok: bool
    """It ended without a trap."""

    rows: Annotated[
        list[Row], Field(json_schema_extra={"maxItems": 16384})
    ] = Field(default_factory=list)
    """The rows that it gave; values of sensitive properties are masked."""

    error: CommandError | None = None
    """Why it failed."""


class DeviceCommandStatus(ConditionedStatus):
    """How the run went."""

    phase: (
        Literal["Pending", "Running", "Succeeded", "Failed", "Denied"] | None
    ) = None
    """Pending, Running, Succeeded, Failed or Denied."""

    started_at: Time | None = None
    """Written before the first word is sent."""

    finished_at: Time | None = None
    """When it ended."""

    finished: bool | None = None
    """It is over."""

    results: (
        Annotated[
            list[CommandResult], Field(json_schema_extra={"maxItems": 64})
        ]
        | None
    ) = None
    """One for each sentence that was run."""

    truncated: bool | None = None
    """The results were over 512 KiB and were cut."""


class DeviceCommand(Resource):
    """One run of API sentences on one router, with its result."""

    kind: str = "DeviceCommand"
    spec: DeviceCommandSpec
    status: DeviceCommandStatus = Field(default_factory=DeviceCommandStatus)

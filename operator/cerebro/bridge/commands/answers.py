"""The answers about what a router was asked for, with the fields that clients
of every age read.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cerebro.bridge.answers import Answer, is_none

RouterRow = dict[str, str]
"""A row as the router gave it; sensitive values are masked."""


class SentenceAnswer(Answer):
    """What one sentence brought."""

    cmd: str = Field(description="The sentence, its words joined by blanks.")
    ok: bool = Field(
        description="Whether the router took it.",
    )
    data: list[RouterRow] = Field(
        description="The rows that it brought.",
    )
    error: str | None = None


class CommandResult(Answer):
    """What was run on the router."""

    ok: Literal[True] = True
    host: str | None = Field(description="Where the router's API is dialled.")
    commands: list[str] = Field(description="The sentences that were run.")
    dry_run: bool = Field(description="Whether nothing was run.")
    errors: list[str] = Field(
        default=[],
        description="Always empty: an error is an answer of its own.",
    )
    results: list[SentenceAnswer] = Field(
        description="One for each sentence.",
    )
    truncated: Literal[True] | None = Field(
        default=None,
        exclude_if=is_none,
        description="True if rows were left out, over 512 KiB; else absent.",
    )


class ExecAnswer(Answer):
    """The router took all sentences."""

    ok: Literal[True] = True
    mik_id: str = Field(
        description="The routerID of the Device.",
    )
    result: CommandResult
    data: list[RouterRow] = Field(description="The rows of all sentences.")
    error: None = None


class PingAnswer(Answer):
    """What came back of a ping; without a target, that the router answers."""

    ok: Literal[True] = True
    mik_id: str = Field(
        description="The routerID of the Device.",
    )
    target: str | None = Field(
        description="What was pinged; null if only the router was asked.",
    )
    sent: int = Field(
        description="Packets that were sent.",
    )
    received: int = Field(
        description="Packets that were answered.",
    )
    result: CommandResult = Field(
        description="What was run, and what it brought.",
    )


class ArpAnswer(Answer):
    """The ARP table of a router."""

    ok: Literal[True] = True
    mik_id: str = Field(
        description="The routerID of the Device.",
    )
    result: CommandResult = Field(
        description="The table is the data of its only sentence.",
    )


class ArpEntry(Answer):
    """A row of the ARP table."""

    address: str | None
    mac_address: str | None
    interface: str | None = Field(
        description="Where the router sees it.",
    )
    dynamic: bool = Field(
        description="Whether the router learnt it by itself.",
    )
    complete: bool = Field(
        description="Whether the MAC is known.",
    )
    comment: str | None


class FoundMac(Answer):
    """The MAC where some clients look for it."""

    mac: str | None


class ArpLookupAnswer(Answer):
    """Who has an address, or which address a MAC has."""

    ok: Literal[True] = True
    mik_id: str = Field(
        description="The routerID of the Device.",
    )
    found: bool = Field(
        description="Whether the table has it.",
    )
    mac: str | None = Field(
        description="Who has the address.",
    )
    ip: str | None = Field(
        description="Which address the MAC has.",
    )
    entry: ArpEntry | None = Field(
        description="The row; null if there is none.",
    )
    data: FoundMac


class ActiveClient(Answer):
    """A client that the hotspot lets through."""

    id: str = Field(description="For a kick; `host:…` for one without login.")
    user: str | None = Field(
        description="As it logged in; null without a login.",
    )
    ip: str | None
    mac: str | None
    uptime: str | None = Field(
        description="Since when, in RouterOS' form such as 1h2m.",
    )
    server: str | None = Field(
        description="The hotspot server that it is behind.",
    )


class ActiveAnswer(Answer):
    """The clients that the hotspot lets through."""

    ok: Literal[True] = True
    mik_id: str = Field(
        description="The routerID of the Device.",
    )
    active: list[ActiveClient]


class KickAnswer(Answer):
    """How many clients were sent away."""

    ok: Literal[True] = True
    mik_id: str = Field(
        description="The routerID of the Device.",
    )
    kicked: int = Field(
        description="Clients that were sent away.",
    )
    criteria: dict[str, str] = Field(
        description="By what they were chosen.",
    )


class SessionKickAnswer(Answer):
    """Whether the phone of a session was sent away."""

    ok: Literal[True] = True
    kicked: int = Field(
        description="Clients that were sent away.",
    )
    not_found: bool = Field(
        description="Whether the phone was not there.",
    )
    result: CommandResult = Field(
        description="The rows that were removed.",
    )


class ProbeAnswer(Answer):
    """The router took the credentials."""

    ok: Literal[True] = True
    device_id: str = Field(
        description="The routerID of the Device.",
    )
    identity: str | None = Field(
        description="What the router calls itself.",
    )
    version: str | None = Field(
        description="Its RouterOS version.",
    )
    board: str | None = Field(
        description="Its board's name.",
    )

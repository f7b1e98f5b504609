"""The answers about a router's tunnel."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cerebro.bridge.answers import Answer, is_none


class ScriptAnswer(Answer):
    """The script for a router whose key was not sent."""

    ok: Literal[True] = True
    need_public_key: bool = Field(
        description="Whether the router's key is still unknown."
    )
    instructions: list[str] = Field(
        description="Lines for the router's terminal."
    )


class PeerChange(Answer):
    """What the request changed."""

    created: bool
    updated: bool


class TunnelAnswer(Answer):
    """The Hub's interface has the router's key."""

    ok: Literal[True] = True
    created_peer: PeerChange
    commands: list[str] = Field(description="Lines for the router's terminal.")
    dry_run: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="True if nothing was changed, else absent.",
    )

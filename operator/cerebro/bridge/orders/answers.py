"""The answers about orders, revokes and hellos, as the old relay gave them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cerebro.bridge.answers import Answer, is_none


class RouterResult(Answer):
    """What was done on the router."""

    ok: Literal[True] = True
    host: str | None = Field(description="Where the router's API is dialled.")
    commands: list[str] = Field(
        description="What would be done; empty unless this is a dry run."
    )
    dry_run: bool = Field(description="Whether nothing was done.")
    errors: list[str] = Field(
        default=[],
        description="Always empty: an error is an answer of its own.",
    )


class GrantAnswer(Answer):
    """The client has access: the entry is on the router."""

    ok: Literal[True] = True
    pedido_id: str | None
    mik_id: str | None
    device_token: str | None
    ip: str | None
    mac: str | None
    mikrotik: RouterResult
    client_seen: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="False if the router does not show the client, or another one at its address: the access waits.",
    )
    warning: str | None = Field(
        default=None,
        exclude_if=is_none,
        description="What was changed of the request, and who is there instead of the client; mostly absent.",
    )


class RevokeAnswer(Answer):
    """The access ended: nothing on the router is due to it."""

    ok: Literal[True] = True
    mik_id: str | None
    ip: str | None
    mac: str | None
    mikrotik: RouterResult


class HelloAnswer(Answer):
    """What was stored of a hello."""

    ok: Literal[True] = True
    device_token: str | None
    mik_id: str | None
    ip_atual: str | None
    mac_atual: str | None

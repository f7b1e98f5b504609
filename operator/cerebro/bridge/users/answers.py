"""The answer about a hotspot user, as the old relay gave it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cerebro.bridge.answers import Answer, is_none
from cerebro.bridge.orders.answers import RouterResult


class NamedUser(Answer):
    """A hotspot user on a router."""

    username: str
    profile: str | None = Field(
        description="The hotspot user profile; null: the router's default."
    )


class UserAnswer(Answer):
    """The user is on the router, with this password and profile."""

    ok: Literal[True] = True
    mik_id: str
    user: NamedUser
    created: bool = Field(
        description="Whether this call made it, or opened it again."
    )
    username: str = Field(description="The same as `user.username`.")
    password: str | None = Field(
        default=None,
        exclude_if=is_none,
        description="The password, if the caller sent none; else absent.",
    )
    mocked: Literal[False] = False
    pedido_id: str = Field(
        description="What stands in an order's place: a revoke of it ends the user."
    )
    mikrotik: RouterResult

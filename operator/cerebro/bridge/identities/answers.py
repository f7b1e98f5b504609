"""The answers about a customer's identity, as the old relay gave them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cerebro.bridge.answers import Answer, is_none
from cerebro.bridge.orders.answers import GrantAnswer


class AuthorizedAnswer(Answer):
    """The customer has access: the entry is on the router."""

    ok: Literal[True] = True
    authorized: Literal[True] = True
    pedido_id: str | None
    router_id: str
    action_key: str = Field(description="`<routerId>:<pedidoId>:AUTHORIZE`.")
    idempotent: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="True if the access was there before, else absent.",
    )
    result: GrantAnswer | None = Field(
        default=None,
        exclude_if=is_none,
        description="What was done; absent if the access was there before.",
    )


class ScheduledAnswer(Answer):
    """The router has not confirmed it yet; it goes on being tried."""

    ok: Literal[True] = True
    authorized: Literal[False] = False
    pending_authorization: Literal[True] = Field(
        default=True, alias="pending_authorization"
    )
    code: Literal["authorization_scheduled"] = "authorization_scheduled"
    pedido_id: str | None
    router_id: str
    retry_in_ms: int
    error: str = Field(description="For people: why not yet.")


class PublicIdentity(Answer):
    """What a portal may show."""

    state: Literal[
        "NO_PENDING_PAYMENT",
        "PENDING",
        "AUTHORIZED",
        "FAILED",
        "OK",
        "DEGRADED",
        "COOLDOWN",
    ] = Field(
        description="Of a customer one of the first four, of a router the last three or FAILED."
    )
    authorized: bool
    pending_authorization: bool
    retry_in_ms: int
    message_code: str
    expires_at: str | None
    plan_id: str | None
    router_id: str | None
    updated_at: str


class PendingIdentity(Answer):
    """An order that is not granted yet."""

    status: Literal["PENDING", "FAILED"]
    pedido_id: str | None
    plan_id: str | None
    router_id: str | None
    attempts: int
    fail_code: str | None
    failed_at: str | None
    next_eligible_at: str | None
    expires_at: str | None


class LastSeen(Answer):
    """Where the customer's phone was last seen."""

    ip: str | None
    mac: str | None
    identity: str | None
    router_hint: str | None
    ts: int = Field(description="Milliseconds since 1970.")


class AppliedIdentity(Answer):
    """What was granted last."""

    last_action_key: str
    last_applied_at: str | None
    recent_keys: list[str]


class RouterHealth(Answer):
    """How the customer's router is."""

    router_id: str
    state: Literal["OK", "DEGRADED", "COOLDOWN", "FAILED"]
    last_err_code: str | None
    consecutive_fails: int | None = Field(
        description="Always null: the agent counts them."
    )
    open_until: str | None
    next_retry_at: str | None


class OpsIdentity(Answer):
    """What operators see besides."""

    pending: PendingIdentity | None
    last_seen: LastSeen | None
    applied: AppliedIdentity | None
    router_health: RouterHealth | None


class IdentityStatusAnswer(Answer):
    """How a customer's access is, or a router."""

    ok: bool = Field(
        description="Of a customer always true; of a router whether its API answers."
    )
    sid: str
    state: str = Field(description="As in `public`; so are the next two.")
    retry_in_ms: int
    message_code: str
    public: PublicIdentity
    ops: OpsIdentity | None = Field(
        description="Null without the internal token."
    )


class RetryAnswer(Answer):
    """The order is tried anew."""

    ok: Literal[True] = True
    scheduled: Literal[True] = True
    job_type: Literal["AUTHORIZE_PENDING"] = "AUTHORIZE_PENDING"
    run_in_ms: int = Field(
        description="0, or the time until a router is tried that is left alone."
    )

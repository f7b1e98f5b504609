"""The answers about routers, their tunnels and their keys."""

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


class DryRunAnswer(Answer):
    """An answer that says whether nothing was done."""

    ok: Literal[True] = True
    dry_run: bool | None = Field(
        default=None,
        exclude_if=is_none,
        description="True if nothing was changed, else absent.",
    )


class TunnelAnswer(DryRunAnswer):
    """The Hub's interface has the router's key."""

    created_peer: PeerChange
    commands: list[str] = Field(description="Lines for the router's terminal.")


class ManagerAnswer(DryRunAnswer):
    """The router is registered, and the Hub's interface has its key."""

    success: Literal[True] = Field(
        default=True, description="The same as `ok`."
    )
    mikrotik_script: str = Field(
        description="The lines for the router's terminal, with line feeds."
    )
    created_peer: PeerChange
    tunnel_ip: str | None = Field(
        description="Its address in the tunnel; null only in dry run."
    )


class DeviceAnswer(DryRunAnswer):
    """The router is registered, and the Hub's interface has its key."""

    device_id: str


class RouterAnswer(DeviceAnswer):
    """The router is registered, and the Hub's interface has its key."""

    tunnel_ip: str
    allowed_ips: list[str] | str = Field(
        description="The networks of its peer, in the form that was sent: a list, or a text with commas."
    )


class DoneAnswer(DryRunAnswer):
    """It is done."""


class MikrotikRecord(Answer):
    """What was said of the router itself."""

    public_ip: str | None = Field(
        description="Where a caller says that it is; never dialled."
    )
    api_port: int


class MetaRecord(Answer):
    """What was said besides."""

    mikrotik: MikrotikRecord


class DeviceRecord(Answer):
    """A router, as it is kept. No key but the public one, and no password."""

    device_id: str
    name: str = Field(description="The Device object.")
    status: Literal["registered", "provisioned"] = Field(
        description="`provisioned` once the hub's interface has its key."
    )
    public_key: str | None
    tunnel_ip: str | None
    allowed_ips: list[str]
    endpoint: str | None
    keepalive: int | None
    created_at: str | None = Field(description="In UTC.")
    meta: MetaRecord


class RouterInfo(Answer):
    """Who the router says it is."""

    identity: str | None
    version: str | None
    board: str | None


class MikStatus(Answer):
    """How the router's API answered the last time."""

    status: Literal["UNKNOWN", "ONLINE", "UNREACHABLE", "AUTH_FAILED"]
    detail: str | None = Field(default=None, exclude_if=is_none)
    info: RouterInfo | None = Field(default=None, exclude_if=is_none)


class DeviceStatusAnswer(Answer):
    """How a router is."""

    ok: Literal[True] = True
    device: DeviceRecord
    has_peer: bool = Field(
        description="Whether the hub's interface has its key."
    )
    mik_status: MikStatus


class BindingRecord(Answer):
    """The router that a key belongs to."""

    device_id: str
    mikrotik_ip: str | None = Field(
        description="As a caller said, else where its API is dialled."
    )
    created_at: int | None = Field(description="Seconds since 1970.")


class KeyBinding(BindingRecord):
    """A key, and the router that it belongs to."""

    public_key: str


class BindAnswer(DryRunAnswer):
    """The router has the key, and so has the hub's interface."""

    binding: BindingRecord


class UnbindAnswer(DryRunAnswer):
    """No router has the key, nor has a hub's interface as that of a router."""

    removed: bool = Field(
        description="Whether this call took it from a router."
    )


class BindingsAnswer(Answer):
    """The keys of routers."""

    ok: Literal[True] = True
    bindings: list[KeyBinding]
    count: int = Field(description="How many there are in all.")


class PeerRecord(Answer):
    """A peer on a hub."""

    public_key: str
    handshake_age: int | None = Field(
        description="Seconds since the last handshake; null if there was none, or it is not known."
    )
    status: Literal["ONLINE", "OFFLINE", "NEVER_CONNECTED"]
    rx: int | None = Field(description="Bytes received; null if not known.")
    tx: int | None = Field(description="Bytes sent; null if not known.")
    allowed_ips: list[str]
    endpoint: str | None
    device: BindingRecord | None


class PeersAnswer(Answer):
    """The peers of all hubs."""

    ok: Literal[True] = True
    timestamp: int = Field(description="The time here, in seconds since 1970.")
    peers: list[PeerRecord]
    peers_count: int = Field(description="How many there are in all.")

"""The model of a Peer: one WireGuard peer of a Hub, made for a Device or by hand. Pure.

Docstrings of models and fields are the descriptions in the CRD.
"""

from typing import Annotated, Literal

from pydantic import Field

from cerebro.resources.base import ConditionedStatus, Reference, Resource
from cerebro.resources.model import Spec
from cerebro.resources.values import (
    Endpoint,
    Network,
    Text,
    Time,
    WireGuardKey,
    rule,
)


class PeerSpec(Spec):
    """What the peer should be, in WireGuard's own words."""

    hub_ref: Annotated[
        Reference,
        Field(
            json_schema_extra={
                "x-kubernetes-validations": [
                    rule(
                        "self == oldSelf",
                        "hubRef cannot be changed: delete the Peer and make it again on the other Hub",
                    )
                ]
            }
        ),
    ]
    """The Hub whose interface it is on."""

    public_key: WireGuardKey
    """The peer's public key."""

    preshared_key_secret_ref: Reference | None = None
    """Secret of type relay.cerebro.dev/wireguard with the key presharedKey."""

    allowed_ips: Annotated[
        list[Network],
        Field(
            alias="allowedIPs",
            max_length=256,
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
    ] = Field(default_factory=list)
    """Networks that are reached through it and that it may send from."""

    endpoint: Endpoint | None = None
    """Where it is dialled; none: it dials us, and its address is left to roam."""

    persistent_keepalive: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Seconds between keepalives; none or 0: off."""

    device_ref: Reference | None = None
    """The Device that it was made for; set by the operator."""


class PeerStatus(ConditionedStatus):
    """What the peer is; its traffic is a metric."""

    state: Literal["NeverConnected", "Online", "Offline"] | None = None
    """Whether its handshake is recent."""

    last_handshake_time: Time | None = None
    """The last handshake, written when the state changes."""

    endpoint: Text | None = None
    """Where its last valid handshake came from, as host:port; written when it changes, at most once in five minutes."""

    applied_public_key: Text | None = None
    """The key that is on the interface, written before it is applied."""

    rotated_public_keys: Annotated[list[Text], Field(max_length=8)] = Field(
        default_factory=list
    )
    """Keys that it had before and that are still on the interface; they go once the new one has their place."""


class Peer(Resource):
    """One WireGuard peer of a Hub."""

    kind: str = "Peer"
    spec: PeerSpec
    status: PeerStatus = Field(default_factory=PeerStatus)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the key of the spec, and the keys that the interface may have of this Peer (rule E8)."""
        applied = self.status.applied_public_key
        if not applied:
            return (self.spec.public_key, *self.status.rotated_public_keys)

        return (
            self.spec.public_key,
            applied,
            *self.status.rotated_public_keys,
        )

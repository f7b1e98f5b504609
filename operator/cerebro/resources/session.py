"""The model of a Session: one client's access on one Device, for one order, until a time. Pure.

Docstrings of models and fields are the descriptions in the CRD.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cerebro.resources.base import (
    NOT_OBSERVED,
    ConditionedStatus,
    Reference,
    Resource,
)
from cerebro.resources.model import Spec, Status
from cerebro.resources.values import (
    DurationBetween,
    IPv4Address,
    MacAddress,
    SpecTime,
    Text,
    Time,
    Word,
    rule,
)

SessionType = Literal["Paid", "Trial"]

MAX_TRIAL_MINUTES = 120
"""A Trial that the bridge makes is no longer (A5)."""
SessionPhase = Literal["Pending", "Active", "Expired", "Revoked", "Failed"]


class SessionClient(Spec):
    """Who is let in."""

    mac_address: MacAddress | None = None
    """The client's MAC, AA:BB:CC:DD:EE:FF; the better of the two, it survives a new lease."""

    ip_address: IPv4Address | None = None
    """The client's IPv4 address behind the hotspot."""


class HotspotUser(Spec):
    """A hotspot user that is made with the access and removed at its end."""

    name: Word
    """The user's name."""

    profile: Word | None = None
    """The hotspot user profile; none: the router's default."""

    password_secret_ref: Reference | None = None
    """Secret of type relay.cerebro.dev/router with the password."""


class SessionSpec(Spec):
    """What access should be."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "has(self.hotspotUser) || (self.revoked && has(self.orderID)) || "
                    "(has(self.client) && (has(self.client.macAddress) || has(self.client.ipAddress)))",
                    "name the client: write client.macAddress, client.ipAddress or both; only a Session with "
                    "hotspotUser, or a revoked one with orderID, may leave both out",
                    fieldPath=".client",
                ),
                rule(
                    "!(has(self.expiresAt) && has(self.duration))",
                    "write expiresAt or duration, not both: expiresAt is a fixed end, duration counts from "
                    "the moment access was first on the router",
                    fieldPath=".duration",
                ),
            ]
        }
    )

    device_ref: Annotated[
        Reference,
        Field(
            json_schema_extra={
                "x-kubernetes-validations": [
                    rule(
                        "self == oldSelf",
                        "deviceRef cannot be changed: revoke this Session and make one on the other Device",
                    )
                ]
            }
        ),
    ]
    """The router that lets the client in."""

    client: SessionClient = Field(default_factory=SessionClient)
    """Who is let in: macAddress, ipAddress or both, unless hotspotUser is given, or revoked with orderID."""

    hotspot_user: HotspotUser | None = None
    """A hotspot user that is made with the access and removed at its end."""

    type: SessionType = "Paid"
    """Paid or Trial."""

    order_id: Annotated[Word | None, Field(alias="orderID")] = None
    """The backend's order (pedidoId), any text."""

    expires_at: SpecTime | None = None
    """A fixed end. Neither this nor duration: until revoked."""

    duration: Annotated[timedelta, DurationBetween("1ms", "87600h")] | None = (
        None
    )
    """Counts from the moment access was first on the router."""

    revoked: bool = False
    """Ends access and keeps the record; false again: access again, with the original end."""

    grant_before: SpecTime | None = None
    """Not on the router by then: Failed, NeverGranted."""

    requested_at: SpecTime | None = None
    """When the backend asked for it; none: creationTimestamp."""

    revoked_at: SpecTime | None = None
    """When the backend asked for its end."""

    supersedes: Reference | None = None
    """This Session's client, end and revocation stand in place of that one's."""

    ttl_after_finished: (
        Annotated[timedelta, DurationBetween("0s", "87600h")] | None
    ) = None
    """The record goes this long after its end is enforced; none: it stays. Not for Sessions in Git."""


class AppliedClient(Status):
    """What is on the router."""

    mac_address: Text | None = None
    """The MAC in the binding."""

    ip_address: Text | None = None
    """The address on the address list."""

    pinned_for: Text | None = None
    """The address in spec.client by which this client was found; none where spec.client names its MAC."""


class SessionStatus(ConditionedStatus):
    """What access is."""

    # Processes of an older release can read no Session with a -1 there, and they still run while an update comes.
    observed_generation: Annotated[int, Field(ge=NOT_OBSERVED)] = 0
    """The metadata.generation that Ready was judged of; 0: nobody has looked at the object yet."""

    phase: SessionPhase | None = None
    """Pending, Active, Expired, Revoked or Failed."""

    authorized_at: Time | None = None
    """When access was first on the router."""

    reopened_at: Time | None = None
    """When it was seen to be changed after its end: from then it is to be granted, not from its creation."""

    expires_at: Time | None = None
    """When it ends; none: until revoked, or not known before it is granted."""

    finished_at: Time | None = None
    """When its end was enforced."""

    finished: bool | None = None
    """The end is enforced on the router; counts for observedGeneration only."""

    applied: AppliedClient | None = None
    """What is on the router."""

    client_seen: bool | None = None
    """Whether the router showed the client, at its address in spec, when this status was last written."""

    address_held_by: Text | None = None
    """The MAC of another client that had the address in spec then."""


class Session(Resource):
    """One client's access on one Device, for one order, until a time."""

    kind: str = "Session"
    spec: SessionSpec
    status: SessionStatus = Field(default_factory=SessionStatus)

    @property
    def placed(self) -> AppliedClient | None:
        """Return what is on the router of the client that spec names now.

        None if nothing is, or if what is there belongs to the client that spec named before (rule B2).
        """

        client = self.spec.client
        applied = self.status.applied
        if applied is None:
            return None

        if client.mac_address and applied.mac_address:
            same_client = client.mac_address == applied.mac_address
        else:
            same_client = (
                bool(client.ip_address)
                and client.ip_address == applied.pinned_for
            )

        return applied if same_client else None

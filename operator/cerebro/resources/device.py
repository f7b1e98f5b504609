"""The model of a Device: one MikroTik router, how it is reached and how access is granted there. Pure.

Docstrings of models and fields are the descriptions in the CRD.
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cerebro.resources.addresses import same_host
from cerebro.resources.base import Reference, Resource, ResyncedStatus
from cerebro.resources.model import Spec, Status
from cerebro.resources.values import (
    DeletionPolicy,
    DurationBetween,
    Host,
    IPAddress,
    Network,
    Paused,
    Text,
    Time,
    WireGuardKey,
    Word,
    rule,
)


class DeviceTls(Spec):
    """TLS of the router's API."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "self.mode == 'Verify' || !has(self.caSecretRef)",
                    "caSecretRef is for mode: Verify only; write mode: Verify, or leave caSecretRef out",
                    fieldPath=".mode",
                )
            ]
        }
    )

    mode: Literal["Disabled", "Verify", "Insecure"] = "Disabled"
    """Verify: the certificate must be right. Insecure: encrypted, also without a certificate on the router (anonymous
    Diffie-Hellman), but whoever answers is believed, and may be given the password."""

    ca_secret_ref: Reference | None = None
    """Secret with ca.crt, for Verify; none: the system's authorities."""

    server_name: Host | None = None
    """The name that the certificate must carry; none: the address."""


class DeviceApi(Spec):
    """How the router's API is reached."""

    address: Host | None = None
    """IP address or host name; default: the tunnel address."""

    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """TCP port; default: 8728, or 8729 with TLS."""

    tls: DeviceTls = Field(default_factory=DeviceTls)
    """TLS of the API."""

    credentials_secret_ref: Reference
    """Secret of type relay.cerebro.dev/router with username and password."""

    timeout: Annotated[timedelta, DurationBetween("1s", "2m")] = timedelta(
        seconds=8
    )
    """The longest silence on the connection before it is given up."""

    allow_plaintext: bool = False
    """Dial without TLS outside the tunnel too; the password can then be read on the way."""

    @property
    def effective_port(self) -> int:
        """Return the TCP port, with its default: 8728, or 8729 with TLS."""
        default = 8728 if self.tls.mode == "Disabled" else 8729

        return self.port or default


class TechnicalUser(Spec):
    """The user on the router that daily work is done with."""

    name: Word = "relay-tech"
    """The user's name."""

    group: Word = "relay-tech"
    """The user's group, with the rights that daily work needs."""

    password_secret_ref: Reference
    """Secret of type relay.cerebro.dev/router with the password."""


class DeviceAccess(Spec):
    """How a Session is granted on this router."""

    address_list: Word = "paid_clients"
    """Firewall address list that the client's address is put on."""

    binding_type: Literal["bypassed", "regular"] = "bypassed"
    """Type of the hotspot's ip-binding that is made for the client."""

    hotspot_server: Word | None = None
    """Hotspot server that the binding holds for; none: all."""

    guard: Literal["None", "Router"] = "None"
    """Router: a script there ends access on time too, also while nobody reaches the router."""


class CircuitBreaker(Spec):
    """When a router that does not answer is left alone for a while."""

    failure_threshold: Annotated[int, Field(ge=1, le=1000)] = 5
    """Failures in a row until the breaker opens."""

    recovery_time: Annotated[timedelta, DurationBetween("1s", "24h")] = (
        timedelta(seconds=60)
    )
    """How long it stays open before one try."""


class DeviceSpec(Spec):
    """What the router should be to us."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-validations": [
                rule(
                    "has(self.hubRef) == has(oldSelf.hubRef) && "
                    "(!has(self.hubRef) || self.hubRef == oldSelf.hubRef)",
                    "hubRef cannot be changed: delete the Device and make it again on the other Hub",
                    fieldPath=".hubRef",
                ),
                rule(
                    "has(self.hubRef) || has(self.api.address)",
                    "a Device without hubRef is reached directly: write its IP address or host name in "
                    "api.address, or set hubRef",
                    fieldPath=".api.address",
                ),
                rule(
                    "has(self.hubRef) || self.api.tls.mode != 'Disabled' || self.api.allowPlaintext",
                    "without a Hub the password would cross the network in plain text: write "
                    "api.tls.mode: Verify, or api.allowPlaintext: true where that network is trusted",
                    fieldPath=".api.allowPlaintext",
                ),
                rule(
                    "has(self.hubRef) || !(has(self.tunnelAddress) || has(self.lanNetworks) "
                    "|| self.manageConfig)",
                    "tunnelAddress, lanNetworks and manageConfig are about the tunnel: "
                    "set hubRef too, or leave them out",
                    fieldPath=".hubRef",
                ),
                rule(
                    "self.access.guard == 'None' || self.manageConfig",
                    "access.guard: Router puts a script on the router: set manageConfig: true too, "
                    "or leave access.guard out",
                    fieldPath=".access.guard",
                ),
            ]
        }
    )

    hub_ref: Reference | None = None
    """The Hub whose tunnel leads to it; none: the router is reached directly."""

    router_id: Annotated[Word | None, Field(alias="routerID")] = None
    """The identifier that the backend sends as mikId, in any case; default: metadata.name."""

    public_key: WireGuardKey | None = None
    """The router's WireGuard key, once it is known."""

    tunnel_address: IPAddress | None = None
    """Its address in the tunnel; none: one is allocated from the Hub's pool."""

    lan_networks: Annotated[
        list[Network],
        Field(
            max_length=64, json_schema_extra={"x-kubernetes-list-type": "set"}
        ),
    ] = Field(default_factory=list)
    """Networks behind the router, reached through its Peer."""

    api: DeviceApi
    """How the router's API is reached."""

    serial_number: Word | None = None
    """The router that is meant; none: whatever answers first, recorded in status."""

    technical_user: TechnicalUser | None = None
    """A user that is kept on the router and used for daily work."""

    access: DeviceAccess = Field(default_factory=DeviceAccess)
    """How a Session is granted."""

    manage_config: bool = False
    """Own the tunnel's configuration on the router: interface, address, peer, routes, input rule, API service.

    A change is confirmed by a fresh login, or the router takes it back by itself.
    """

    circuit_breaker: CircuitBreaker = Field(default_factory=CircuitBreaker)
    """When a router that does not answer is left alone for a while."""

    offline_after: Annotated[timedelta, DurationBetween("1s", "168h")] = (
        timedelta(seconds=300)
    )
    """A handshake older than this means that the router is offline."""

    when_offline: Literal["Queue", "Reject"] = "Queue"
    """Queue: Sessions wait for the router; Reject: they fail at once."""

    commands: Literal["Off", "Read", "All"] = "Read"
    """Which DeviceCommands may run. Write "Off" in quotes: without them YAML reads it as false."""

    paused: Paused = "None"
    """Changes: nothing is written but ends of access; All: nothing is written at all."""

    resync_interval: Annotated[timedelta, DurationBetween("1s", "24h")] = (
        timedelta(minutes=5)
    )
    """How often everything is compared, whether or not something changed."""

    dry_run: bool = False
    """Compute what would change, say it in status.plan, and write nothing to the router."""

    deletion_policy: DeletionPolicy = "Retain"
    """Retain: entries stay on the router when the Device goes; Cleanup: all marked ones are removed first."""


class DeviceSessions(Status):
    """How many Sessions."""

    active: int | None = None
    """Granted on the router."""

    pending: int | None = None
    """Waiting to be granted."""


class Circuit(Status):
    """The circuit breaker."""

    state: Literal["Closed", "Open", "HalfOpen"] | None = None
    """Closed: all is well; Open: nothing is tried; HalfOpen: one try is under way."""

    open_until: Time | None = None
    """When the next try is."""


class AppliedTechnicalUser(Status):
    """The technical user that is on the router."""

    name: Text | None = None
    """Its name."""

    secret_version: Text | None = None
    """The version of the Secret with whose password a login was seen to work."""


class DeviceStatus(ResyncedStatus):
    """What the router is."""

    tunnel_address: Text | None = None
    """Its address in the tunnel."""

    identity: Text | None = None
    """What the router calls itself."""

    serial_number: Text | None = None
    """The router that answered first."""

    answering_serial_number: Text | None = None
    """The other router that answers in its place, while nothing is written (WrongRouter)."""

    version: Text | None = None
    """Its RouterOS version."""

    board: Text | None = None
    """Its board's name."""

    technical_user: AppliedTechnicalUser | None = None
    """The technical user, once a login with it has worked."""

    undone_configuration: Text | None = None
    """A digest of the change of manageConfig that the router took back and that is not tried again as it is."""

    peer_name: Text | None = None
    """The Peer that was made for it."""

    sessions: DeviceSessions | None = None
    """How many Sessions."""

    circuit: Circuit | None = None
    """The circuit breaker."""

    plan: Annotated[list[Text], Field(max_length=256)] | None = None
    """In dry run: what would change, in words, a line each."""


class Device(Resource):
    """One MikroTik router."""

    kind: str = "Device"
    spec: DeviceSpec
    status: DeviceStatus = Field(default_factory=DeviceStatus)

    @property
    def router_id(self) -> str:
        """Return the identifier that the backend sends, with its default. It is compared by `router_key`."""
        return self.spec.router_id or self.metadata.name

    @property
    def router_key(self) -> str:
        """Return a text that is the same for all spellings of the identifier: the backend sends it in any case."""
        return self.router_id.casefold()

    @property
    def tunnel_address(self) -> str | None:
        """Return the address in the tunnel that the operator gave; None before that.

        An address that spec.tunnelAddress only asks for may belong to another Device.
        """
        return self.status.tunnel_address

    @property
    def dials_tunnel(self) -> bool:
        """Return whether the API is dialled through the Hub's tunnel: at the tunnel address, however it is spelt."""
        if self.spec.hub_ref is None:
            return False

        address = self.spec.api.address

        return address is None or same_host(address, self.tunnel_address)

    @property
    def api_address(self) -> str | None:
        """Return where the API is dialled: the address in spec, else the tunnel address; None without either."""
        return self.spec.api.address or self.tunnel_address

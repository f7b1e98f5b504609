"""What a WireGuard interface is and what is changed on it. Pure; knows neither
netlink nor Kubernetes.

Keys are base64 of 32 bytes. Networks and addresses are canonical text
(`10.64.0.2/32`, `fd00::/64`), so that ten thousand peers are compared without
parsing. What each pass makes by the thousand is not frozen: a frozen dataclass
takes ten times as long to make. Nothing here is changed after it was made all
the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Endpoint = tuple[str, int]
"""IP address as text, without brackets, and UDP port."""


@dataclass(frozen=True, slots=True)
class DesiredPeer:
    """A peer as it should be on the interface."""

    public_key: str

    allowed_ips: frozenset[str]
    """Networks, as `10.64.0.2/32`."""

    preshared_key: str | None = field(default=None, repr=False)
    """None: without one."""

    persistent_keepalive: int = 0
    """Seconds; 0 is off."""

    endpoint: Endpoint | None = None
    """Where it is dialled; None leaves it to roam."""

    last_endpoint: Endpoint | None = None
    """Where it was heard from last: there it is dialled once if it has to be
    made and has no `endpoint` (rule E16).
    """


@dataclass(slots=True)
class ActualPeer:
    """A peer as it is on the interface, with its live figures."""

    public_key: str

    allowed_ips: frozenset[str]
    """Networks, as `10.64.0.2/32`."""

    preshared_key: str | None = field(default=None, repr=False)
    """None: without one."""

    persistent_keepalive: int = 0
    """Seconds; 0 is off."""

    endpoint: Endpoint | None = None
    """Where it was last heard from, or is dialled; None: unknown."""

    last_handshake: float = 0.0
    """Unix seconds; 0 means never."""

    rx_bytes: int = 0
    """Received since the peer is on the interface."""

    tx_bytes: int = 0
    """Sent since the peer is on the interface."""


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface as it is."""

    name: str

    private_key: str | None = field(default=None, repr=False)
    """None: it has no key yet."""

    public_key: str | None = None
    """None: it has no key yet."""

    listen_port: int = 0
    """UDP; 0: it listens nowhere yet."""

    mtu: int = 0

    up: bool = False

    addresses: frozenset[str] = frozenset()
    """With prefix length, as `10.64.0.1/16`."""

    routes: frozenset[str] = frozenset()
    """Networks that we routed to it, known by their protocol number; not those
    of its own addresses.
    """

    peers: Mapping[str, ActualPeer] = field(default_factory=dict)
    """By public key."""


@dataclass(slots=True)
class PeerChange:
    """One message about one peer; None leaves a property as it is."""

    public_key: str

    remove: bool = False

    update_only: bool = False
    """Do nothing if the peer is not on the interface (any more)."""

    replace_allowed_ips: bool = False
    """Whether the peer loses the allowed networks that are not in
    `allowed_ips`.
    """

    allowed_ips: tuple[str, ...] = ()
    """Networks that are added; a network moves here from any other peer that
    has it.
    """

    preshared_key: str | None = field(default=None, repr=False)
    """Empty text removes it."""

    persistent_keepalive: int | None = None
    """Seconds; 0 is off."""

    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class LinkChange:
    """What is changed on a link; None and empty leave it as it is."""

    mtu: int | None = None

    up: bool | None = None

    add_addresses: tuple[str, ...] = ()
    """With prefix length, as `10.64.0.1/16`; those to be removed too."""

    remove_addresses: tuple[str, ...] = ()

    add_routes: tuple[str, ...] = ()
    """Networks, as `192.168.88.0/24`; those to be removed too."""

    remove_routes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether it changes anything."""
        return self != LinkChange()


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the node as it is."""

    index: int
    """The kernel's number of it."""

    kind: str | None
    """`wireguard`, `tun`, `veth`; None for a plain device."""

    mtu: int

    up: bool

    addresses: frozenset[str]
    """With prefix length, as `10.64.0.1/16`, without the link-local ones that
    the kernel makes.
    """

    routes: frozenset[str]
    """Networks routed to it with our protocol number."""

"""What a WireGuard interface is and what is changed on it. Pure; knows neither netlink nor Kubernetes.

Keys are base64 of 32 bytes. Networks and addresses are canonical text (`10.64.0.2/32`, `fd00::/64`), so that
ten thousand peers are compared without parsing. What there are thousands of in each pass is not frozen, as a
frozen dataclass takes ten times as long to make; nothing here is changed after it was made all the same.
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
    preshared_key: str | None = field(default=None, repr=False)
    persistent_keepalive: int = 0
    """Seconds; 0 is off."""
    endpoint: Endpoint | None = None
    """Where it is dialled; None leaves it to roam."""


@dataclass(slots=True)
class ActualPeer:
    """A peer as it is on the interface, with its live figures."""

    public_key: str
    allowed_ips: frozenset[str]
    preshared_key: str | None = field(default=None, repr=False)
    persistent_keepalive: int = 0
    endpoint: Endpoint | None = None
    last_handshake: float = 0.0
    """Unix seconds; 0 means never."""
    rx_bytes: int = 0
    tx_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface as it is."""

    name: str
    private_key: str | None = field(default=None, repr=False)
    public_key: str | None = None
    listen_port: int = 0
    mtu: int = 0
    up: bool = False
    addresses: frozenset[str] = frozenset()
    """With prefix length, as `10.64.0.1/16`."""
    routes: frozenset[str] = frozenset()
    """Networks that we routed to it, known by their protocol number; not those of its own addresses."""
    peers: Mapping[str, ActualPeer] = field(default_factory=dict)
    """By public key."""


@dataclass(slots=True)
class PeerChange:
    """One message about one peer; None leaves a property as it is."""

    public_key: str
    remove: bool = False
    update_only: bool = False
    """Do nothing when the peer is not there (any more)."""
    replace_allowed_ips: bool = False
    allowed_ips: tuple[str, ...] = ()
    """Added, or with `replace_allowed_ips` all that there are then; an address moves here from any other peer."""
    preshared_key: str | None = field(default=None, repr=False)
    """Empty text removes it."""
    persistent_keepalive: int | None = None
    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class LinkChange:
    """What is changed on the link; addresses with prefix length, routes as networks."""

    mtu: int | None = None
    up: bool | None = None
    add_addresses: tuple[str, ...] = ()
    remove_addresses: tuple[str, ...] = ()
    add_routes: tuple[str, ...] = ()
    remove_routes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether it changes anything."""
        return self != LinkChange()


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is."""

    index: int
    kind: str | None
    """`wireguard`, `tun`, `veth`; None for a plain device."""
    mtu: int
    up: bool
    addresses: frozenset[str]
    """With prefix length, as `10.64.0.1/16`, without the link-local ones that the kernel makes."""
    routes: frozenset[str]
    """Networks routed to it with our protocol number."""

"""What access on a router means: the clients that are to have it or lose it,
and where hosts show them.

Pure: no socket, no clock. The plan that makes one equal to the other is in
`plan.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cerebro.resources.addresses import is_client_ip, is_client_mac
from cerebro.routeros.menus.hotspot import HOST
from cerebro.routeros.menus.menu import Row


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """How a Device grants access (`spec.access`), and the installation that
    our markers name.
    """

    address_list: str = "paid_clients"
    binding_type: str = "bypassed"
    server: str | None = None
    installation: str = "main"


@dataclass(frozen=True, slots=True)
class Grant:
    """A client that must have access until `until` (unix seconds, None: until
    revoked).

    `mac` and `ip` are what is known of it, at least one; `prior_ip` is the
    address that its rows had when they were last seen. `hold` says that
    nothing may be written for it now; the rows that it has stay as they are.
    """

    mac: str | None
    ip: str | None
    until: float | None
    prior_ip: str | None = None
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """A client of an ended Session whose end has not been seen enforced yet.

    `revoked` says that rows of the older relay go too (rule B4). `flows` are the ids of the tracked
    connections that were there at the end, None before anybody looked. `asks` says that it is for whoever has the
    address: while that one has a Session, the plan says who it is and ends nothing (rule B2). `late` asks for who had
    it at the last look before, not for who has it now.
    `order` is given where neither MAC nor address is: the clients are those of
    the older relay's rows of that order (rule A4).
    """

    mac: str | None
    ips: frozenset[str]
    revoked: bool
    flows: frozenset[str] | None = None
    asks: bool = False
    late: bool = False
    order: str | None = None


@dataclass(frozen=True, slots=True)
class DesiredAccess:
    """Everything that is desired of one router in one pass.

    `frozen` are the MACs and addresses of Sessions that cannot be read (rule
    B9); `frozen_all` when even that is not known. `complete` says that
    everybody who has access is named here, so a marked row that no grant
    explains is nobody's; it is false in a pass over some clients, and before
    the store is complete (rule E7). With `passed_at` only rows whose marker
    says an end before it (unix seconds) are removed: what an agent may still
    do that can no longer renew its Lease (rule E1). `now` (unix seconds) is
    None while the clock is not trusted. `retiring` are the client ids whose
    unexplained rows go before the end that their marker says, None: all of
    them (rule E13). `logged_in_again` are the client ids that the router keeps
    logging in by itself after their end: their logins are left, and said.
    `live_users` are names of hotspot users that live Sessions want: who is
    logged in as one of them is let in by that.
    """

    grants: tuple[Grant, ...] = ()
    endings: tuple[Ending, ...] = ()
    frozen: frozenset[str] = frozenset()
    frozen_all: bool = False
    complete: bool = False
    passed_at: float | None = None
    now: float | None = None
    retiring: frozenset[str] | None = None
    logged_in_again: frozenset[str] = frozenset()
    live_users: frozenset[str] = frozenset()


@dataclass(slots=True)
class Client:
    """One client as the rows of a router know it: the grants that share its
    rows, and the addresses it is seen at.
    """

    mac: str | None
    ips: list[str] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)

    @property
    def until(self) -> float | None:
        """The latest end (rule B3), None for none; a grant that is held
        prolongs nothing for the others (A9).
        """
        ends = [grant.until for grant in self.grants if not grant.hold] or [
            grant.until for grant in self.grants
        ]

        return (
            None
            if None in ends
            else max(end for end in ends if end is not None)
        )

    @property
    def key(self) -> str:
        """The client key of rule A3: the MAC, else the address."""
        return self.mac or self.ips[0]


def firewall_address(host: Row) -> str | None:
    """Return the address of a host that the router's firewall sees:
    `to-address`, behind an address pool another one than the client's own.
    """
    return host.get("to-address") or host.get("address")


def holders(hosts: Iterable[Row]) -> dict[str, str]:
    """Return which MAC holds each address now, from the rows of the host menu.

    An address that the firewall sees is one client's. Behind an address pool
    two clients may have one own address: such an address says nothing of
    either.
    """

    held: dict[str, str] = {}
    own: dict[str, set[str]] = {}
    for row in hosts:
        mac, seen = HOST.normal(row, "mac-address"), firewall_address(row)
        if not mac or seen is None:
            continue

        held[seen] = mac
        if "address" in row and row["address"] != seen:
            own.setdefault(row["address"], set()).add(mac)

    for address, macs in own.items():
        if address not in held and len(macs) == 1:
            held[address] = next(iter(macs))

    return held


def firewall_places(hosts: Iterable[Row]) -> dict[str, list[str]]:
    """Return the addresses at which the firewall sees each MAC, in the order
    of the hosts, each once.
    """
    places: dict[str, dict[str, None]] = {}
    for row in hosts:
        seen = firewall_address(row)
        if seen is not None:
            places.setdefault(HOST.normal(row, "mac-address"), {})[seen] = None

    return {mac: list(addresses) for mac, addresses in places.items()}


def resolve(grants: Iterable[Grant], hosts: Iterable[Row]) -> list[Client]:
    """Join grants of the same client, pin the MAC of those that came with an
    address only, and find their addresses (rule B2).

    A client with a MAC is at the addresses at which the firewall sees that
    MAC; without a host, at the address it came with unless another MAC holds
    it now. Two clients never get one address: the first by key keeps it.
    A grant whose MAC, or without a MAC whose address, can be no client's is
    nobody's (rule A13): to RouterOS a binding for a zero MAC is one for all.
    """

    rows = list(hosts)
    held, places = holders(rows), firewall_places(rows)
    clients: dict[str, Client] = {}
    for grant in grants:
        if not _may_be_client(grant):
            continue

        mac = grant.mac or (held.get(grant.ip) if grant.ip else None)
        key = mac or grant.ip
        if key is None:
            continue

        client = clients.get(key)
        if client is None:
            client = clients[key] = Client(mac)

        client.grants.append(grant)

    taken: set[str] = set()
    for key in sorted(clients):
        client = clients[key]
        client.ips = [
            ip for ip in _addresses(client, held, places) if ip not in taken
        ]

        taken.update(client.ips)

    return [client for client in clients.values() if client.mac or client.ips]


def _may_be_client(grant: Grant) -> bool:
    """Return whether the MAC of a grant, or without one its address, can be a
    client's (rule A13).
    """
    if grant.mac:
        return is_client_mac(grant.mac)

    return grant.ip is not None and is_client_ip(grant.ip)


def _addresses(
    client: Client, held: Mapping[str, str], places: Mapping[str, list[str]]
) -> list[str]:
    if client.mac is None:
        return [ip for grant in client.grants if (ip := grant.ip)][:1]

    if at := [
        ip for ip in places.get(client.mac, ()) if held.get(ip) == client.mac
    ]:
        return at

    said = [
        ip
        for grant in client.grants
        for ip in (grant.ip, grant.prior_ip)
        if ip and is_client_ip(ip)
    ]

    return [
        ip
        for ip in dict.fromkeys(said)
        if held.get(ip, client.mac) == client.mac
    ][:1]

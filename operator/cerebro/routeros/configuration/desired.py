"""What `spec.manageConfig` keeps on a router, in parts: rows that serve one
purpose and bear a comment of their own. Pure.

The tunnel is the first part: the rows that the pasted script makes, under the
same names (see `bootstrap`). A further part is a further `Part`; how its rows
are read, compared and written is the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cerebro.routeros.bootstrap import KEEPALIVE, Tunnel
from cerebro.routeros.menus.ip import SERVICE, addresses, filters, routes
from cerebro.routeros.menus.menu import Menu
from cerebro.routeros.menus.wireguard import WIREGUARD, WIREGUARD_PEERS


@dataclass(frozen=True, slots=True)
class WantedRow:
    """A row that must be there.

    `key` are the properties by which a row of ours is taken for this one,
    besides its comment. `before_chain` says that it stands before all rows of
    its chain that the router did not make itself.
    """

    menu: Menu
    values: Mapping[str, str]
    key: tuple[str, ...] = ()
    before_chain: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that serve one purpose.

    `menus` are those in which a row with that comment is the part's: one that
    is not among `rows` goes. `risky` says that a mistake in it can cut the
    connection to the router: it is written only while an undo is armed there
    (see `undo`).
    """

    comment: str
    menus: tuple[Menu, ...]
    rows: tuple[WantedRow, ...] = ()
    risky: bool = True


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that is kept on one router: its end of the tunnel, and further
    parts. Without a tunnel, that is left as it is; `missing` says which fact
    of it is not known, if it is wanted.
    """

    tunnel: Tunnel | None
    further: tuple[Part, ...] = ()
    missing: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts, the tunnel first."""
        if self.tunnel is None:
            return self.further

        return (tunnel_part(self.tunnel), *self.further)

    @property
    def menus(self) -> tuple[Menu, ...]:
        """The menus that have to be read for the plan, each once."""
        menus = [menu for part in self.parts for menu in part.menus]
        if self.tunnel is not None:
            menus.append(SERVICE)

        return tuple({menu.path: menu for menu in menus}.values())


def tunnel_part(tunnel: Tunnel) -> Part:
    """Return the part of the tunnel: its rows in the order in which they are
    made, the interface first.
    """
    family = family_of(tunnel)

    return Part(
        comment=tunnel.marker,
        menus=(
            WIREGUARD,
            WIREGUARD_PEERS,
            addresses(family),
            routes(family),
            filters(family),
        ),
        rows=(
            _interface(tunnel),
            _peer(tunnel),
            _address(tunnel),
            *_routes(tunnel),
            _input_rule(tunnel),
        ),
    )


def family_of(tunnel: Tunnel) -> str:
    """Return the first part of the paths of the tunnel's family."""
    return "/ip" if tunnel.address.version == 4 else "/ipv6"


def _interface(tunnel: Tunnel) -> WantedRow:
    values = {
        "name": tunnel.interface,
        "mtu": str(tunnel.mtu),
        "comment": f"{tunnel.marker} {tunnel.router_id}",
        "disabled": "false",
    }

    return WantedRow(WIREGUARD, values, key=("name",))


def _peer(tunnel: Tunnel) -> WantedRow:
    values = {
        "interface": tunnel.interface,
        "public-key": tunnel.hub_key,
        "allowed-address": ",".join(map(str, tunnel.networks)),
        "endpoint-address": tunnel.host,
        "endpoint-port": str(tunnel.port),
        "persistent-keepalive": KEEPALIVE,
        "comment": tunnel.marker,
        "disabled": "false",
    }

    return WantedRow(WIREGUARD_PEERS, values)


def _address(tunnel: Tunnel) -> WantedRow:
    """`network` follows no change of the address by itself."""
    more = {"network": str(tunnel.address.network.network_address)}
    if tunnel.address.version == 6:
        more = {"advertise": "false"}

    values = {
        "address": str(tunnel.address),
        **more,
        "interface": tunnel.interface,
        "comment": tunnel.marker,
        "disabled": "false",
    }

    return WantedRow(addresses(family_of(tunnel)), values)


def _routes(tunnel: Tunnel) -> list[WantedRow]:
    """The address makes the route to its own network."""
    menu = routes(family_of(tunnel))

    return [
        WantedRow(
            menu,
            {
                "dst-address": str(network),
                "gateway": tunnel.interface,
                "comment": tunnel.marker,
                "disabled": "false",
            },
            key=("dst-address",),
        )
        for network in tunnel.networks
        if network != tunnel.address.network
    ]


def _input_rule(tunnel: Tunnel) -> WantedRow:
    """Admit the hub's address to the API alone, before any rule that drops
    (rule D3).
    """
    values = {
        "chain": "input",
        "action": "accept",
        "in-interface": tunnel.interface,
        "src-address": str(tunnel.hub_address.ip),
        "protocol": "tcp",
        "dst-port": str(tunnel.api_port),
        "comment": tunnel.marker,
        "disabled": "false",
    }

    return WantedRow(filters(family_of(tunnel)), values, before_chain=True)

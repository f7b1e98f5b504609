"""The rows of a router's end of its tunnel: those that the pasted script makes,
under the same names (see `bootstrap`). Pure.
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


def wanted_rows(tunnel: Tunnel) -> list[WantedRow]:
    """Return the rows of a tunnel, in the order in which they are made; the
    interface is the first.
    """
    return [
        _interface(tunnel),
        _peer(tunnel),
        _address(tunnel),
        *_routes(tunnel),
        _input_rule(tunnel),
    ]


def menus(tunnel: Tunnel) -> tuple[Menu, ...]:
    """Return the menus that have to be read for the plan of a tunnel."""
    family = family_of(tunnel)

    return (
        WIREGUARD,
        WIREGUARD_PEERS,
        addresses(family),
        routes(family),
        filters(family),
        SERVICE,
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

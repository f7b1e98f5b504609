"""The menu of the router's own IPv4 addresses, as data.

From MikroTik's manual: IP addressing; reference 4.12.
"""

from __future__ import annotations

from ipaddress import IPv4Interface

from simulator.errors import BAD_VALUE, Trap
from simulator.menu import Menu, MenuRouter, Property, Unique, comment
from simulator.menus import ADDRESS, BOOL, DISABLED
from simulator.row import Row
from simulator.values import Kind


class HostPrefix(Kind):
    """An address with its prefix length; /32 where none is given."""

    def _parse(self, name: str, text: str) -> str:
        try:
            return str(IPv4Interface(text))
        except ValueError:
            raise Trap(
                f"invalid value for argument {name}", BAD_VALUE
            ) from None


def _address_changed(_router: MenuRouter, row: Row, _names: set[str]) -> None:
    """The network is computed where it is not given; it follows no later
    change of the address.
    """
    if "network" not in row.values:
        network = IPv4Interface(row.values["address"]).network
        row.values["network"] = str(network.network_address)


ADDRESSES = Menu(
    "/ip/address",
    (
        Property("address", HostPrefix(), required=True),
        Property("network", ADDRESS),
        Property("interface", required=True),
        comment(),
        DISABLED,
        Property("invalid", BOOL, default="false", readonly=True),
        Property("dynamic", BOOL, default="false", readonly=True),
    ),
    unique=(
        Unique(
            lambda row: row["address"], "failure: already have such address"
        ),
    ),
    changed=_address_changed,
    initial=({"address": "192.168.88.1/24", "interface": "bridge"},),
)

MENUS = (ADDRESSES,)

"""The menus of the firewall that we use."""

from __future__ import annotations

from cerebro.routeros.menus.menu import Menu, address, boolean, plain

ADDRESS_LIST = Menu(
    path="/ip/firewall/address-list",
    key=("list", "address"),
    compared={
        "list": plain,
        "address": address,
        "disabled": boolean,
        "comment": plain,
    },
    defaults={"disabled": "false"},
    read=("timeout",),
    may_be_dynamic=True,
)
"""`timeout` is the time that an entry still has, on those that vanish by
themselves.
"""


CONNECTION = Menu(
    path="/ip/firewall/connection",
    key=("src-address", "dst-address", "protocol"),
    read=("reply-src-address", "reply-dst-address"),
)

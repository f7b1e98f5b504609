"""The menus of the users of a router.

A password is no property here: a router takes it and never returns it.
"""

from __future__ import annotations

from cerebro.routeros.menus.menu import Menu, address, boolean, plain

_ANYWHERE = ("0.0.0.0/0", "::/0")
"""What some versions return for a user who is not limited to addresses."""


def policies(value: str) -> str:
    """Normalise the policies of a group to those that are granted, sorted: a
    router lists the others too, with `!`, in no fixed order.
    """
    names = {name.strip() for name in value.split(",")}
    granted = {name for name in names if name and not name.startswith("!")}

    return ",".join(sorted(granted))


def addresses(value: str) -> str:
    """Normalise a list of addresses: sorted, a host without its prefix
    length, empty for anywhere.
    """
    names = {name.strip() for name in value.split(",")}
    limits = {address(name) for name in names if name}

    if not limits.isdisjoint(_ANYWHERE):
        return ""

    return ",".join(sorted(limits))


GROUP = Menu(
    path="/user/group",
    key=("name",),
    compared={"name": plain, "policy": policies, "comment": plain},
)


USER = Menu(
    path="/user",
    key=("name",),
    compared={
        "name": plain,
        "group": plain,
        "address": addresses,
        "disabled": boolean,
        "comment": plain,
    },
    defaults={"disabled": "false"},
)

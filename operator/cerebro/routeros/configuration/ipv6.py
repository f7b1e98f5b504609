"""The part of a router's configuration that shuts IPv6 past its hotspots:
desired rows. Pure.

The rules are in the chain `forward`, as the hotspot's own gate is: what a
phone sends to the router itself, such as neighbour discovery, is not theirs.
The tunnel, also over IPv6, goes through `input` and `output`, so that no
connection to the router hangs on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from cerebro.routeros.configuration.desired import Part, WantedRow
from cerebro.routeros.menus.ip import filters


def ipv6_comment(installation: str) -> str:
    """Return the comment of the rules."""
    return f"cerebro:{installation}:ipv6"


def ipv6_part(interfaces: Sequence[str], installation: str) -> Part:
    """Return the rules that stop what comes in from some interfaces.

    They stand before all rules of their chain, so also before one that lets
    open connections on. A phone is told at once (`reject`): with `drop` each
    app would wait before it goes on over IPv4.
    """
    comment, menu = ipv6_comment(installation), filters("/ipv6")

    rows = [
        WantedRow(
            menu,
            {
                "chain": "forward",
                "action": "reject",
                "in-interface": interface,
                "comment": comment,
                "disabled": "false",
            },
            key=("in-interface",),
            before_chain=True,
        )
        for interface in interfaces
    ]

    return Part(comment, (menu,), tuple(rows), risky=False)


def no_ipv6_part(installation: str) -> Part:
    """Return the part without its rules: all that are on a router go."""
    return ipv6_part((), installation)

"""The menus of scripts and of what runs them. A script may hold no secret of
ours: every user of the router reads it.
"""

from __future__ import annotations

from cerebro.routeros.menus.menu import Menu, boolean, duration, plain
from cerebro.routeros.menus.users import policies


def source(text: str) -> str:
    """Normalise a script: a router may end its lines with CR LF."""
    return text.replace("\r\n", "\n").strip()


SCRIPT = Menu(
    path="/system/script",
    key=("name",),
    compared={
        "name": plain,
        "source": source,
        "policy": policies,
        "comment": plain,
    },
)


SCHEDULER = Menu(
    path="/system/scheduler",
    key=("name",),
    compared={
        "name": plain,
        "on-event": plain,
        "start-time": plain,
        "interval": duration,
        "policy": policies,
        "comment": plain,
        "disabled": boolean,
    },
    defaults={"interval": "0s", "disabled": "false"},
)

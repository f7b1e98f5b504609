"""What `spec.manageConfig` would change on a router, as lines of its terminal:
what is to be read, and what follows from it. Pure.
"""

from __future__ import annotations

from cerebro.kube.cache.store import Store
from cerebro.resources import HUB, Device, Hub
from cerebro.routeros.bootstrap import NotReadyError, Tunnel, tunnel_of
from cerebro.routeros.client.command import Command, Reply
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.configuration.desired import menus
from cerebro.routeros.configuration.plan import configuration_plan
from cerebro.routeros.preview import preview

_LINES = 128
"""The most lines; a tunnel needs ten."""


def previews_configuration(device: Device) -> bool:
    """Return whether the plan of the tunnel's configuration is to be shown."""
    return device.spec.manage_config and device.spec.dry_run


def tunnel_to_preview(
    device: Device, store: Store, installation: str
) -> Tunnel | str:
    """Return the router's end of its tunnel, or which fact is missing."""
    name = device.spec.hub_ref.name if device.spec.hub_ref else ""
    stored = store.get(HUB, device.namespace, name)
    hub = stored.read(Hub) if stored else None
    if hub is None:
        return f"the Hub {name} does not exist, or cannot be read"

    try:
        return tunnel_of(hub, device, installation=installation)
    except NotReadyError as error:
        return str(error)


def configuration_prints(tunnel: Tunnel) -> list[Command]:
    """Return the commands that read what the plan needs. Of routes, most are
    the router's own: these are not asked for.
    """
    prints = []

    for menu in menus(tunnel):
        proplist = {".proplist": ",".join(menu.proplist)}
        static = ("?dynamic=false",) if menu.path.endswith("/route") else ()
        prints.append(Command(menu.path, "print", proplist, static))

    return prints


def configuration_lines(
    tunnel: Tunnel, replies: list[Reply | Trap]
) -> tuple[str, ...]:
    """Return the plan by the replies to `configuration_prints`: notes first,
    then lines that can be pasted.
    """
    tables = {}

    for menu, reply in zip(menus(tunnel), replies, strict=True):
        if isinstance(reply, Trap):
            return (note(f"the router did not print {menu.path}: {reply}"),)

        tables[menu.path] = reply.rows

    plan = configuration_plan(tunnel, tables)
    count = len(plan.commands)
    lines = preview(plan.commands, plan.rows, count, _LINES)

    return (*map(note, plan.notes), *lines)


def note(text: str) -> str:
    """Return a text as a line that the terminal skips."""
    return f"# manageConfig: {' '.join(text.split())}"

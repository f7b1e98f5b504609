"""What `spec.manageConfig` would change on a router, as lines of its terminal:
what follows from what was read. Pure.
"""

from __future__ import annotations

from cerebro.agent.devices.config.reading import tables_of
from cerebro.resources import Device
from cerebro.routeros.client.command import Reply
from cerebro.routeros.client.errors import Trap
from cerebro.routeros.configuration.desired import Configuration
from cerebro.routeros.configuration.plan import configuration_plan
from cerebro.routeros.preview import preview

_LINES = 128
"""The most lines; a tunnel needs ten."""


def previews_configuration(device: Device) -> bool:
    """Return whether the plan of the configuration is to be shown."""
    return device.spec.manage_config and device.spec.dry_run


def configuration_lines(
    configuration: Configuration, replies: list[Reply | Trap]
) -> tuple[str, ...]:
    """Return the plan by the replies to `configuration_prints`: notes first,
    then lines that can be pasted.
    """
    tables = tables_of(configuration, replies)
    if isinstance(tables, str):
        return (note(tables),)

    plan = configuration_plan(configuration, tables)
    commands = plan.commands
    lines = preview(commands, plan.rows, len(commands), _LINES)

    return (*map(note, plan.notes), *lines)


def note(text: str) -> str:
    """Return a text as a line that the terminal skips."""
    return f"# manageConfig: {' '.join(text.split())}"

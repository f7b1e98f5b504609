"""What `spec.manageConfig` would change on a router, as lines of its terminal.
Pure.
"""

from __future__ import annotations

from cerebro.routeros.configuration.steps import ConfigurationPlan
from cerebro.routeros.preview import preview

_LINES = 128
"""The most lines; a tunnel needs ten."""


def configuration_lines(plan: ConfigurationPlan) -> tuple[str, ...]:
    """Return a plan as lines: its notes first, then what can be pasted."""
    commands = plan.commands
    lines = preview(commands, plan.rows, len(commands), _LINES)

    return (*map(note, plan.notes), *lines)


def note(text: str) -> str:
    """Return a text as a line that the terminal skips."""
    return f"# manageConfig: {' '.join(text.split())}"

"""Makes docs/settings.md out of the settings of the processes, so that the page says what the code reads.

python -m cerebro.cli.settings_page            writes it
python -m cerebro.cli.settings_page --check    fails when it differs
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from cerebro.agent.settings import AgentSettings
from cerebro.bridge.environment import REPLACED, known_variables
from cerebro.bridge.settings import BridgeSettings
from cerebro.cli.generated_page import write_or_check
from cerebro.operator.settings import OperatorSettings
from cerebro.runtime.settings import BasicSettings, TunnelSettings, variable

COMMAND = "python -m cerebro.cli.settings_page"
PAGE = Path("docs/settings.md")
PROCESSES: dict[str, type[BasicSettings]] = {
    "agent": AgentSettings,
    "operator": OperatorSettings,
    "bridge": BridgeSettings,
    "tunnel": TunnelSettings,
}

_RULE = re.compile(r" \([A-G]\d+\)")
"""A rule's number in a description: the reader of the page needs none."""
_HEAD = """# Settings

Made by `make settings` out of the code; do not edit it by hand.

A process reads the variables that the table names it for, once at start, and ignores every other one. A value that
cannot be used ends the start with a message that names the variable. Times are in seconds, but in milliseconds where
the name ends in `_MS`. What concerns one Hub, Device or Session is a field of that object. Of the old relay's times one
that is too short to work with is raised to the shortest that is not, with a warning.

| variable | default | read by | is |
| --- | --- | --- | --- |
"""
_REPLACED = """
## Variables of the old relay that do nothing

The bridge warns of each that is set, and of every other `RELAY_…` that it does not know.

| variable | in its place |
| --- | --- |
"""


def render() -> str:
    """Return the page."""
    readers: dict[str, list[str]] = {}
    rows: dict[str, tuple[str, str]] = {}
    for process, kind in PROCESSES.items():
        for name, field in kind.model_fields.items():
            names = ", ".join(f"`{text}`" for text in _variables(name, field))
            readers.setdefault(names, []).append(process)
            rows.setdefault(names, (_default(field), _is(field)))

    lines = [
        f"| {names} | {default} | {', '.join(readers[names])} | {text} |\n"
        for names, (default, text) in rows.items()
    ]

    known = known_variables()
    replaced = [
        f"| `{name}` | {text} |\n"
        for name, text in sorted(REPLACED.items())
        if name not in known
    ]

    return _HEAD + "".join(lines) + _REPLACED + "".join(replaced)


def _variables(name: str, field: FieldInfo) -> list[str]:
    """Return the environment variables of a field."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]

    return [str(alias) if alias is not None else variable(name)]


def _default(field: FieldInfo) -> str:
    """Return a default for people."""
    if field.is_required():
        return "must be set"

    factory: Callable[..., object] | None = field.default_factory
    default = field.default
    if factory is not None or default in ("", (), None):
        return "none" if factory is None else "by the host"

    if isinstance(default, bool):
        return f"`{str(default).lower()}`"

    if isinstance(default, float) and default.is_integer():
        return str(int(default))

    if isinstance(default, int | float):
        return str(default)

    assert not isinstance(default, SecretStr)

    return f"`{default}`"


def _is(field: FieldInfo) -> str:
    """Return what a setting is, in one cell of a table."""
    text = _RULE.sub("", field.description or "").replace("|", "\\|")
    return text.replace("\n", " ")


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check it; return the exit status."""
    return write_or_check(PAGE, render, command=COMMAND, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())

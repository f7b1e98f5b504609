"""The bounds, as `pyproject.toml` sets them under `[tool.cerebro.style]`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

_TABLE = "[tool.cerebro.style]"


class BoundsError(Exception):
    """The table of bounds is missing, or a setting in it is."""


@dataclass(frozen=True)
class Bounds:
    """Where to look, and what to allow. A setting's name in the file has `-`
    for `_`.
    """

    folders: list[str]
    """The folders that module names start from; branches and circles are
    checked in all of them.
    """
    packages: list[str]
    """The folders whose names, density, files and floors are checked."""
    function_lines: int
    function_branches: int
    vague_names_percent: float
    lines_per_statement: float
    """The least; 0 checks nothing."""
    folder_files: int
    folder_floors: int

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Return the bounds in the text of a pyproject.toml; raises
        BoundsError and TOMLDecodeError.
        """
        table = (
            tomllib.loads(text).get("tool", {}).get("cerebro", {}).get("style")
        )
        if table is None:
            raise BoundsError(f"{_TABLE} is missing")
        return cls._from_table(table)

    @classmethod
    def _from_table(cls, table: Mapping[str, Any]) -> Self:
        settings = {
            name.replace("-", "_"): value for name, value in table.items()
        }
        known = {field.name for field in fields(cls)}
        unknown, missing = settings.keys() - known, known - settings.keys()
        if unknown or missing:
            problem = "unknown" if unknown else "missing"
            names = ", ".join(sorted(unknown or missing)).replace("_", "-")
            raise BoundsError(f"{_TABLE}: {names} {problem}")
        return cls(**settings)

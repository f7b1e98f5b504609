"""What a dashboard consists of, and how `panels.yaml` says it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import yaml

COLUMNS = 24
"""Of Grafana's grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A line of a graph for each series, or a column of a table."""

    legend: str
    """How a line is called, with `{{label}}` in it; the title of a column."""

    expr: str
    """PromQL, with Grafana's variables in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A graph over time, unless it is another kind."""

    title: str

    queries: tuple[Query, ...]

    about: str = ""
    """What it means, and what to do if it looks bad."""

    kind: Literal["timeseries", "stat", "table"] = "timeseries"

    width: int = 8
    """In columns."""

    unit: str = "short"
    """By Grafana's name: `s`, `bytes`, `percentunit`, `cpm` (a minute)."""

    red_from: float | None = None
    """From which value on a number is red; it is green below."""

    green_from: float | None = None
    """From which value on a number is green; it is red below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels that belong together, side by side, under a title."""

    title: str

    panels: tuple[Panel, ...]

    height: int = 8
    """Of each panel, in Grafana's rows of about 30 pixels."""


def read_rows(text: str) -> list[Row]:
    """Return what a YAML text says. Raises TypeError for a field that does not
    exist, or is missing.
    """
    return [_row(row) for row in yaml.safe_load(text)]


def _row(fields: dict[str, Any]) -> Row:
    panels = tuple(_panel(panel) for panel in fields.pop("panels"))
    return Row(panels=panels, **fields)


def _panel(fields: dict[str, Any]) -> Panel:
    queries = tuple(Query(**query) for query in fields.pop("queries"))
    return Panel(queries=queries, **fields)

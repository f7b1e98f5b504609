"""Makes Grafana's JSON of rows of panels. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dashboard.model import COLUMNS, Panel, Row

_SCHEMA = 39
"""The version of dashboards that Grafana 10.4 and newer read as it is."""
_WIDTH = 110
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_NAMES = "ABCDEFGHIJ"
"""What the queries of a panel are called in it."""

Json = dict[str, Any]


def text_of(rows: Iterable[Row]) -> str:
    """Return the file of the dashboard: what fits on a line stands on one."""
    return _written(dashboard(rows)) + "\n"


def dashboard(rows: Iterable[Row]) -> Json:
    """Return the dashboard."""
    return {
        "uid": "cerebro",
        "title": "Cérebro",
        "tags": ["cerebro"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "annotations": {"list": []},
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": _panels(rows),
    }


def _variables() -> list[Json]:
    """Return what is chosen above the panels."""
    source = {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
    }
    ours = '{namespace=~"$namespace"}'

    return [
        source,
        _variable("namespace", "Namespace", "cerebro_store_objects"),
        _variable(
            "hub", "Hub", f"cerebro_peer_receive_bytes_total{ours}", every=".*"
        ),
        _variable(
            "router",
            "Router",
            f"relay_router_online{ours}",
            label="router_id",
            every=".*",
        ),
    ]


def _variable(
    name: str, title: str, series: str, *, label: str = "", every: str = ""
) -> Json:
    """Return a variable with the values of a label; `every` is what stands
    for all of them, else each is named.
    """
    variable: Json = {
        "name": name,
        "label": title,
        "type": "query",
        "datasource": _SOURCE,
        "query": {
            "query": f"label_values({series}, {label or name})",
            "refId": name,
        },
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }
    if every:
        variable["allValue"] = every

    return variable


def _panels(rows: Iterable[Row]) -> list[Json]:
    """Return rows and panels with their places in the grid."""
    placed: list[Json] = []
    y = 0

    for row in rows:
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        head = {"type": "row", "title": row.title, "gridPos": place}
        placed.append(head | {"collapsed": False, "panels": []})
        x, y = 0, y + 1

        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + row.height

            place = {"x": x, "y": y, "w": panel.width, "h": row.height}
            placed.append(_panel(panel) | {"gridPos": place})
            x += panel.width

        y += row.height

    return [
        {"id": number} | panel for number, panel in enumerate(placed, start=1)
    ]


def _panel(panel: Panel) -> Json:
    made: Json = {"type": panel.kind, "title": panel.title}
    if panel.about:
        made["description"] = panel.about

    made |= {
        "datasource": _SOURCE,
        "targets": _targets(panel),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
    }
    if panel.kind == "table":
        made["transformations"] = _columns(panel)

    return made


def _targets(panel: Panel) -> list[Json]:
    form = {"format": "table"} if panel.kind == "table" else {}
    at_once = {} if panel.kind == "timeseries" else {"instant": True}

    return [
        {
            "refId": name,
            "expr": query.expr,
            "legendFormat": query.legend,
            **form,
            **at_once,
        }
        for name, query in zip(_NAMES, panel.queries, strict=False)
    ]


def _defaults(panel: Panel) -> Json:
    """Return unit and colours of a panel."""
    defaults: Json = {"unit": panel.unit}
    if panel.kind == "timeseries":
        defaults["custom"] = {"axisSoftMin": 0, "fillOpacity": 10}

    bound, below, above = panel.red_from, "green", "red"
    if panel.green_from is not None:
        bound, below, above = panel.green_from, "red", "green"

    if bound is not None:
        steps = [
            {"color": below, "value": None},
            {"color": above, "value": bound},
        ]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}

    return defaults


def _columns(panel: Panel) -> list[Json]:
    """Return how a table is made of a query for each column."""
    titles = {
        f"Value #{name}": query.legend
        for name, query in zip(_NAMES, panel.queries, strict=False)
    }
    options = {
        "excludeByName": {"Time": True},
        "renameByName": {"router_id": "router", **titles},
    }

    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": options},
    ]


_OPTIONS: dict[str, Json] = {
    "timeseries": {
        "legend": {
            "displayMode": "list",
            "placement": "bottom",
            "showLegend": True,
            "calcs": [],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "values": False},
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "auto",
        "justifyMode": "auto",
        "orientation": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "percentChangeColorMode": "standard",
    },
    "table": {
        "showHeader": True,
        "frameIndex": 0,
        "footer": {"show": False, "reducer": []},
    },
}


def _written(value: Any, indent: str = "") -> str:
    """Return a value as JSON: on one line if it fits there."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, dict | list):
        return line

    deeper = indent + " "
    if isinstance(value, dict):
        parts = [
            f"{deeper}{json.dumps(name)}: {_written(part, deeper)}"
            for name, part in value.items()
        ]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"

    parts = [f"{deeper}{_written(part, deeper)}" for part in value]
    return "[\n" + ",\n".join(parts) + f"\n{indent}]"

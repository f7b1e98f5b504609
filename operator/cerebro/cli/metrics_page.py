"""Makes docs/metrics.md out of the registries of the processes, so that the page says what they count.

python -m cerebro.cli.metrics_page            writes it
python -m cerebro.cli.metrics_page --check    fails when it differs
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from cerebro.agent.hubs.metrics import PeerCollector
from cerebro.agent.reconciler_metrics import ReconcilerCounters
from cerebro.bridge.metrics import Metrics, WatchedObjects
from cerebro.bridge.metrics.counts import STORE_MEANINGS
from cerebro.bridge.metrics.old_counters import (
    GONE,
    MEANINGS,
    OF_A_ROUTER,
    old_name,
    router_key,
)
from cerebro.cli.generated_page import write_or_check
from cerebro.kube.cache.store import Store
from cerebro.runtime.exposition import collectors_of

COMMAND = "python -m cerebro.cli.metrics_page"
PAGE = Path("docs/metrics.md")

_DEFINED = (MetricWrapperBase, ReconcilerCounters)
_PROCESSES = ("agent", "operator", "bridge")
_SHARED = ("cerebro.kube.", "cerebro.runtime.", "cerebro.domain.")
"""Where the metrics are defined that each process has."""

_RULE = re.compile(r" \((?:rule )?[A-G]\d+\)")
"""A rule's number in a description: the reader of the page needs none."""
_ROUTER = "routerID"
"""What stands for a router in the names of the old relay's counters."""

_HEAD = """# Metrics

Made by `make metrics-page` out of the code; do not edit it by hand.

Agent and operator show theirs at `/metrics` on `CEREBRO_HEALTH_ADDRESS`, the bridge its own at `/metrics` and
`/relay/metrics`; who may read those is in [http.md](http.md#who-may-call). A histogram is scraped as `_bucket`, `_sum`
and `_count`.

* `router_id` is the `routerID` of a Device. What bears it goes when no Device has that routerID any more.
* Counters and histograms are each process's own work since its start: `sum` over the processes. Of several bridges each
  sees all Devices and Sessions: `max` over them for the gauges of the watch and of the store.
* While the bridge's store cannot be read, `relay_store_up` is 0 and what only the store knows is missing. The page
  answers all the same.
* All that the bridge shows with labels bears `service="relay-cerebro"` too.
"""
_TABLE = """
| name | type | labels | is |
| --- | --- | --- | --- |
"""
_LABELS = {
    "code": "HTTP statuses of the API server, and `<error>`",
    "command": "some twenty commands of RouterOS, and `other`",
    "controller": "`hub`, `device`",
    "hub": "Hubs",
    "job_name": "`prune`, `adopt`, `poll`",
    "kind": "our kinds, and those that we read",
    "method": "HTTP methods",
    "name": "Leases that the process holds or waits for",
    "namespace": "namespaces that are watched",
    "operation": "kinds of calls to Redis: three",
    "outcome": "`granted`, `failed`, `expired`, `revoked`",
    "part": "`access`, `configuration`",
    "peer": "Peers",
    "phase": "phases of a Session, and `New`",
    "reason": "reasons of our conditions",
    "result": "the results that the metric's text names; `success`",
    "route": "routes of the bridge, and `other`",
    "router_id": "Devices",
    "service": "`relay-cerebro`",
    "status": "`success`, `failure`",
    "status_code": "HTTP statuses of the bridge",
    "verb": "HTTP methods",
    "why": "reasons to let an object go by force: a few",
    "work": "pieces of the operator's work: about ten",
}
"""Each label of ours, and what its values are, so that their number is known.
What a client or a caller makes up is in none.
"""
_BOUNDS = """
## Labels

What is counted by Hub, Peer or Device goes with the object. No other label grows with the number of objects.

| label | values |
| --- | --- |
"""
_RUNTIME = """
Besides, each has `process_*` and `python_*`: processor, memory, files, and garbage collection of the process.
"""
_OLD = """
## The bridge: counters without labels

As the old relay wrote them, on the same pages: a name and a number a line. They begin at 0 with the process. Their
names are kept for old dashboards, though many are not as Prometheus has names: `promtool check metrics` complains of
them, and of no other.

| name | counts |
| --- | --- |
"""
_OF_ROUTERS = f"""
Of each router, from its first action on; `{_ROUTER}` is its routerID, with an underscore for each run of what is
neither letter nor digit:

| name | counts |
| --- | --- |
"""
_STORE = """
Out of the store, missing while that cannot be read:

| name | is |
| --- | --- |
"""
_GONE = """
## What is not counted any more

| name | what tells of it now |
| --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A metric, as the page has it."""

    name: str
    """As it is scraped: a counter ends in `_total`."""

    type: str

    labels: tuple[str, ...]

    text: str

    def line(self) -> str:
        """Return the line of the table."""
        labels = ", ".join(f"`{label}`" for label in self.labels)
        return f"| `{self.name}` | {self.type} | {labels} | {_cell(self.text)} |\n"


def rows_of(collectors: Iterable[Collector]) -> list[Row]:
    """Return what collectors show, by name."""
    rows = [row for each in collectors for row in _rows(each)]

    return sorted(rows, key=lambda row: row.name)


def _rows(collector: Any) -> Iterator[Row]:
    """Yield what a collector shows. How its labels are called only the private
    parts of prometheus_client say.
    """
    wrapped = isinstance(collector, MetricWrapperBase)

    for family in collector.collect():
        labels = (collector if wrapped else family)._labelnames
        yield _row(family, tuple(labels or ()))


def _row(family: Metric, labels: tuple[str, ...]) -> Row:
    is_counter = family.type == "counter"
    name = f"{family.name}_total" if is_counter else family.name

    kind = "untyped" if family.type == "unknown" else family.type

    return Row(name, kind, labels, family.documentation)


def defined_in(*prefixes: str) -> list[Collector]:
    """Return the metrics that modules with these beginnings define, once each."""
    for process in _PROCESSES:
        importlib.import_module(f"cerebro.{process}.main")

    found: dict[int, Collector] = {}
    for name, module in sorted(sys.modules.items()):
        if name.startswith(prefixes):
            for value in vars(module).values():
                if isinstance(value, _DEFINED):
                    found[id(value)] = value

    return list(found.values())


def tables() -> dict[str, list[Row]]:
    """Return the metrics by who has them: each process, or all."""
    bridge = Metrics()
    bridge.watch(WatchedObjects(Store(), ""))
    of_bridge = [
        *collectors_of(bridge.registry),
        *defined_in("cerebro.bridge."),
    ]

    return {
        "Every process": rows_of(defined_in(*_SHARED)),
        "The agent": rows_of(
            [*defined_in("cerebro.agent."), PeerCollector(lambda: ())]
        ),
        "The operator": rows_of(defined_in("cerebro.operator.")),
        "The bridge": rows_of(of_bridge),
    }


def render() -> str:
    """Return the page."""
    parts = [_HEAD]

    for title, rows in tables().items():
        lines = "".join(row.line() for row in rows)
        parts.append(f"\n## {title}\n{_TABLE}{lines}")
        if title == "Every process":
            parts.append(_RUNTIME)

    used = {
        label
        for rows in tables().values()
        for row in rows
        for label in row.labels
    }
    parts.append(_BOUNDS)
    parts += [f"| `{label}` | {_LABELS[label]} |\n" for label in sorted(used)]

    counters = {old_name(key): text for key, text in MEANINGS.items()}
    of_routers = {
        old_name(router_key(_ROUTER, part)): text
        for part, text in OF_A_ROUTER.items()
    }

    parts += [
        *(_OLD, _plain(dict(sorted(counters.items())))),
        *(_OF_ROUTERS, _plain(of_routers)),
        *(_STORE, _plain(STORE_MEANINGS)),
        *(_GONE, _plain(GONE)),
    ]

    return "".join(parts)


def _plain(meanings: dict[str, str]) -> str:
    """Return the lines of a table with a name and a text."""
    lines = []
    for names, text in meanings.items():
        quoted = ", ".join(f"`{name}`" for name in names.split(", "))
        lines.append(f"| {quoted} | {_cell(text)} |\n")

    return "".join(lines)


def _cell(text: str) -> str:
    """Return a text as a cell of a table has it."""
    return _RULE.sub("", text).rstrip(".").replace("|", "\\|")


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check it; return the exit status."""
    return write_or_check(PAGE, render, command=COMMAND, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())

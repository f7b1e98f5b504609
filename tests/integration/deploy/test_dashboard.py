"""The dashboard and the alert rules on a real Prometheus that scrapes a real relay.

Real: all processes, WireGuard, Prometheus with promtool, Grafana's own schema of dashboards. Faked: the routers. No
Grafana can be had here: nobody has looked at the picture.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
import yaml

from backend.billing import Billing
from controlplane.apply import ROOT
from controlplane.binaries import Binaries
from controlplane.progress import wait_until
from controlplane.server import ControlPlane
from dashboard.model import Panel, read_rows
from integration.deploy.prometheus import (
    CERTAIN,
    MONITORING,
    Prometheus,
    Target,
    rules,
    scrapes,
)
from integration.simulator.judges import find_go, kept, run
from local.relay import apply_devices, prepare, start
from local.settings import NAMESPACE, Settings, draw
from local.tunnels import HUB, why_not

pytestmark = pytest.mark.timeout(1800)  # the judge is built once

JUDGE = Path(__file__).with_name("monitoringjudge")
PANELS = ROOT / "hack" / "dashboard" / "panels.yaml"
NAMES = re.compile(
    r"\b(?:cerebro_|cerebro:|relay_|rest_client_|controller_runtime_|process_)[a-z0-9_:]+"
)
LEGEND = re.compile(r"\{\{(\w+)\}\}")
CHOSEN = {
    "$__rate_interval": "1m",
    "$__range": "5m",
    "$namespace": NAMESPACE,
    "$hub": ".*",
    "$router": ".*",
}
"""What Grafana puts in for the variables, where all hubs and routers are chosen."""

ONLY_IN_TROUBLE = {
    ("Orders that were refused or late, a minute", "{{router_id}}"),
    ("Failed tries to use a router, a minute", "{{reason}}"),
    ("Calls to the API server", "refused: {{code}}"),
    ("Objects that are watched", "{{kind}} that cannot be read"),
    ("The bridge's store", "Redis, {{operation}}, seconds (99 %)"),
}
"""What has no line where all is well, and the store is no Redis."""


@dataclass
class Watched:
    """A relay with two routers and orders on the first one."""

    plane: ControlPlane
    settings: Settings
    prometheus: Prometheus

    def pages(self) -> dict[str, str]:
        """The metrics of each process, as Prometheus reads them."""
        return {
            url: httpx.get(f"{url}/metrics", timeout=CERTAIN).text
            for url in (*self.settings.health_urls, self.settings.bridge_url)
        }

    def nobody_tells(self, text: str) -> bool:
        return not any(text in page for page in self.pages().values())


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, control_plane_programs: Binaries
) -> Iterator[Watched]:
    reason = why_not(2)
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    folder = tmp_path_factory.mktemp("watched")
    settings = draw(2)
    with ExitStack() as stack:
        supervisor, tunnels = prepare(stack, settings, folder)
        plane = start(supervisor, settings, folder, tunnels)
        apply_devices(plane, settings, tunnels)
        secrets = settings.secrets
        signed = (secrets["RELAY_TOKEN"], secrets["RELAY_API_SECRET"])
        billing = stack.enter_context(Billing(settings.bridge_url, *signed))
        order(billing, settings, 1)

        jobs = scrapes(targets(settings), NAMESPACE)
        prometheus = stack.enter_context(
            Prometheus(folder / "prometheus", jobs)
        )
        # A second order after the first scrape: a rate needs a change.
        prometheus.wait_for('cerebro_order_seconds_count{outcome="granted"}')
        order(billing, settings, 2)
        prometheus.wait_for("increase(cerebro_order_seconds_count[5m]) > 0")
        prometheus.wait_for("cerebro:orders_late:ratio_rate6h")
        yield Watched(plane, settings, prometheus)


def order(billing: Billing, settings: Settings, number: int) -> None:
    body = {
        "pedidoId": f"P-{number}",
        "mikId": settings.routers[0].name,
        "ipAtual": f"10.5.50.{number}",
        "macAtual": f"AA:BB:CC:00:00:{number:02}",
    }

    def is_taken() -> bool:
        path = "/relay/authorize-by-pedido"
        return billing.post(path, body).status_code == 200

    wait_until(is_taken, "an order is on its router", timeout=CERTAIN)


def targets(settings: Settings) -> dict[str, Target]:
    """What stands for the pods of each PodMonitor."""
    agent, operator = settings.health_urls
    token = settings.secrets["RELAY_TOKEN"]
    return {
        "cerebro-agent": Target(agent[7:], "agent", token),
        "cerebro-operator": Target(operator[7:], "operator"),
        "cerebro-bridge": Target(settings.bridge_url[7:], "bridge", token),
    }


def panels() -> list[Panel]:
    rows = read_rows(PANELS.read_text())
    return [panel for row in rows for panel in row.panels]


def filled(expr: str) -> str:
    for name, value in CHOSEN.items():
        expr = expr.replace(name, value)

    assert "$" not in expr
    return expr


def judged(kind: str, text: str) -> str:
    """What those have to say against an object, in JSON, who use it."""

    def build(folder: Path) -> None:
        built = ("-mod=readonly", "-o", str(folder / "judge"), ".")
        run(find_go(), "build", *built, folder=JUDGE)

    judge = kept(JUDGE, build) / "judge"
    return subprocess.run(
        [str(judge), kind],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_grafanas_own_schema_takes_the_dashboard() -> None:
    text = (MONITORING / "dashboard.json").read_text()
    assert judged("Dashboard", text) == ""

    wrong = text.replace('"gridPos"', '"place"', 1)
    assert "unexpected field 'place'" in judged("Dashboard", wrong)


def test_the_prometheus_operators_own_types_take_monitors_and_rules() -> None:
    kinds = set()
    for name in ("monitors.yaml", "rules.yaml"):
        for item in yaml.safe_load_all((MONITORING / name).read_text()):
            kinds.add(item["kind"])
            assert judged(item["kind"], json.dumps(item)) == ""

            item["spec"]["place"] = "here"
            told = judged(item["kind"], json.dumps(item))
            assert 'unknown field "place"' in told

    assert kinds == {"PodMonitor", "PrometheusRule"}


def test_the_page_says_how_a_prometheus_that_looks_for_a_label_takes_them(
    control_plane_programs: Binaries, tmp_path: Path
) -> None:
    """The commands of docs/monitoring.md, but for the last one, which applies what is looked at here."""
    page = (ROOT / "docs" / "monitoring.md").read_text()
    commands = page.partition("```\n")[2].partition("\n```")[0]
    *lines, last = commands.splitlines()
    shutil.copytree(MONITORING, tmp_path / "deploy" / "monitoring")
    subprocess.run(["sh", "-euc", "\n".join(lines)], cwd=tmp_path, check=True)

    assert last == "kubectl apply --server-side -k my-monitoring"
    kubectl = str(control_plane_programs.kubectl)
    made = subprocess.run(
        [kubectl, "kustomize", "my-monitoring"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for item in yaml.safe_load_all(made):
        assert item["metadata"]["labels"]["release"], item["metadata"]
        assert item["metadata"]["namespace"] == "cerebro"


def test_each_query_is_about_what_is_scraped_and_has_a_line(
    watched: Watched,
) -> None:
    known = watched.prometheus.names()
    empty = set()
    for panel in panels():
        for query in panel.queries:
            expr = filled(query.expr)
            for name in NAMES.findall(re.sub(r"\{[^}]*\}", "", expr)):
                assert name in known, (panel.title, name)

            samples = watched.prometheus.query(expr)
            if not samples:
                empty.add((panel.title, query.legend))

            shown = set(LEGEND.findall(query.legend))
            for sample in samples:
                assert shown <= sample["metric"].keys(), (panel.title, sample)

    assert empty <= ONLY_IN_TROUBLE


def test_what_an_operator_sees_at_a_glance_is_so(watched: Watched) -> None:
    seen = {
        panel.title: [
            float(sample["value"][1])
            for sample in watched.prometheus.query(
                filled(panel.queries[0].expr)
            )
        ]
        for panel in panels()
        if panel.kind == "stat"
    }
    assert seen == {
        "Orders on the router within 5 s": [1],
        "Paid orders that wait": [0],
        "Paid minutes not delivered": [0],
        "Routers offline": [0],
        "Sessions with access": [2],
        "Agents lost": [0],
        "Alerts": [0],
    }


def test_prometheus_evaluates_each_rule_on_what_is_scraped(
    watched: Watched,
) -> None:
    known = watched.prometheus.names()
    written = [rule for group in rules()["groups"] for rule in group["rules"]]
    for rule in written:
        watched.prometheus.query(rule["expr"])
        bare = re.sub(r"\{[^}]*\}", "", rule["expr"])
        assert set(NAMES.findall(bare)) <= known, rule["expr"]

    groups = watched.prometheus.get("rules")["groups"]
    health = [rule["health"] for group in groups for rule in group["rules"]]
    assert health == ["ok"] * len(written)


def test_the_values_to_choose_from_are_those_that_there_are(
    watched: Watched,
) -> None:
    text = (MONITORING / "dashboard.json").read_text()
    values = {}
    for variable in json.loads(text)["templating"]["list"][1:]:
        query = variable["query"]["query"].removeprefix("label_values(")
        series, _, label = query.removesuffix(")").rpartition(", ")
        values[variable["name"]] = watched.prometheus.get(
            f"label/{label}/values", **{"match[]": filled(series)}
        )

    names = [router.name for router in watched.settings.routers]
    assert values == {
        "namespace": [NAMESPACE],
        "hub": [HUB],
        "router": sorted(names),
    }


def test_promtool_complains_of_the_old_relays_names_alone(
    watched: Watched,
) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    old = page.partition("counters without labels")[2]
    routers = [router.name for router in watched.settings.routers]
    for text in watched.pages().values():
        told = subprocess.run(
            ["promtool", "check", "metrics"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        for line in (told.stdout + told.stderr).splitlines():
            name = line.split()[0]
            for router in routers:
                name = name.replace(router.replace("-", "_"), "routerID")

            assert f"| `{name}` |" in old, line


def test_what_is_deleted_is_told_of_no_more(watched: Watched) -> None:
    """It comes last: nothing is left of the routers then, nor of their Hub."""
    names = [router.name for router in watched.settings.routers]
    for text in (*names, f'"{HUB}"'):
        assert not watched.nobody_tells(text), text

    delete = ("delete", f"--namespace={NAMESPACE}", "--timeout=120s")
    watched.plane.kubectl(*delete, "sessions,devices", "--all")
    watched.plane.kubectl(*delete, "hubs", "--all")

    for text in (*names, f'"{HUB}"'):
        wait_until(
            partial(watched.nobody_tells, text),
            f"nobody tells of {text}",
            timeout=CERTAIN,
            interval=0.5,
        )

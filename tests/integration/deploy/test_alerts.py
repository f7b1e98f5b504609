"""The alerts of `deploy/monitoring`, played by Prometheus' own tool, and what they rest on."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from controlplane.apply import ROOT

RULES = ROOT / "deploy" / "monitoring" / "rules.yaml"
PLAYED = Path(__file__).with_name("alerts.yaml")
METRIC = re.compile(r"\b(?:cerebro|relay)_[a-z0-9_]+")
OF_A_HISTOGRAM = re.compile(r"_(?:bucket|sum|count)\Z")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> set[str]:
    return {rule["alert"] for rule in rules() if "alert" in rule}


def test_each_alert_fires_when_it_must_and_none_when_all_is_well(
    tmp_path: Path,
) -> None:
    spec = yaml.safe_load(RULES.read_text())["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec))
    shutil.copy(PLAYED, tmp_path)

    played = subprocess.run(
        ["promtool", "test", "rules", PLAYED.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stdout + played.stderr

    tests = yaml.safe_load(PLAYED.read_text())["tests"]
    fired = {
        test["alertname"]
        for case in tests
        for test in case.get("alert_rule_test", [])
        if test["exp_alerts"]
    }
    assert fired == alerts()


def test_each_alert_is_about_metrics_that_there_are() -> None:
    listed = (ROOT / "docs" / "metrics.md").read_text()
    for rule in rules():
        for name in METRIC.findall(rule["expr"]):
            plain = OF_A_HISTOGRAM.sub("", name)
            assert f"`{plain}`" in listed or f"`{name}`" in listed, name


def test_each_alert_has_a_page_that_says_what_to_do() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == alerts()
    for rule in rules():
        if "alert" in rule:
            anchor = rule["annotations"]["runbook_url"].partition("#")[2]
            assert anchor == rule["alert"].lower()

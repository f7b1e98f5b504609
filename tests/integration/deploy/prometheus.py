"""A real Prometheus on a free loopback port, with our alert rules, which scrapes what our monitors name."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml

from controlplane.apply import ROOT
from controlplane.processes import Process, end, free_port, launch
from controlplane.progress import wait_until

MONITORING = ROOT / "deploy" / "monitoring"
CERTAIN = 120.0
"""Seconds that anything may take on a busy machine; no test asserts on time."""

Sample = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """What stands for a pod that a PodMonitor selects."""

    address: str
    container: str
    token: str = ""


def rules() -> dict[str, Any]:
    """Return the rules as Prometheus itself takes them."""
    spec: dict[str, Any] = yaml.safe_load(
        (MONITORING / "rules.yaml").read_text()
    )["spec"]
    return spec


def scrapes(
    targets: dict[str, Target], namespace: str
) -> list[dict[str, Any]]:
    """Return what the Prometheus operator makes of our PodMonitors, with a target for each."""
    made = []
    for monitor in yaml.safe_load_all(
        (MONITORING / "monitors.yaml").read_text()
    ):
        name = monitor["metadata"]["name"]
        target = targets[name]
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        labels = {
            "namespace": namespace,
            "pod": f"{name}-0",
            "container": target.container,
        }
        job = {
            "job_name": f"{namespace}/{name}",
            "metrics_path": endpoint.get("path", "/metrics"),
            "static_configs": [
                {"targets": [target.address], "labels": labels}
            ],
        }
        if "authorization" in endpoint:
            kind = endpoint["authorization"]["type"]
            credentials = {"type": kind, "credentials": target.token}
            job["authorization"] = credentials

        made.append(job)

    return made


class Prometheus:
    """A context manager; Prometheus scrapes each second."""

    def __init__(self, folder: Path, jobs: list[dict[str, Any]]) -> None:
        folder.mkdir()
        self._log = folder / "prometheus.log"
        every = {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "evaluation_interval": "1s",
        }
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
        file = folder / "prometheus.yaml"
        file.write_text(
            yaml.safe_dump(
                {
                    "global": every,
                    "scrape_configs": jobs,
                    "rule_files": ["rules.yaml"],
                }
            )
        )
        program = shutil.which("prometheus")
        assert program, "prometheus is there: see hack/install-packages"
        port = free_port()
        self._process = Process(
            "prometheus",
            (
                program,
                f"--config.file={file}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ),
        )
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=CERTAIN
        )
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prometheus:
        self._child = launch(self._process, self._log)
        wait_until(self._is_ready, f"see {self._log}", timeout=CERTAIN)
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        if self._child is not None:
            end(self._child, grace=5.0)

    def _is_ready(self) -> bool:
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its HTTP API, which must be no error."""
        answer = self._http.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, (parameters, answer.text)
        return answer.json()["data"]

    def query(self, expr: str) -> list[Sample]:
        """Return what a query comes to now."""
        samples: list[Sample] = self.get("query", query=expr)["result"]
        return samples

    def wait_for(self, expr: str) -> None:
        """Wait until a query comes to something."""
        some = partial(self.query, expr)
        wait_until(lambda: bool(some()), expr, timeout=CERTAIN, interval=0.2)

    def names(self) -> set[str]:
        """Return the names of all series, and those of metrics that have none yet."""
        names = set(self.get("label/__name__/values"))
        for family, said in self.get("metadata").items():
            ends = ("_bucket", "_sum", "_count")
            is_histogram = said[0]["type"] == "histogram"
            names |= {family + e for e in (ends if is_histogram else ("",))}

        return names

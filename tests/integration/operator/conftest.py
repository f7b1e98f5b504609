"""Integration tests of the operator.

Real: the API server with etcd, the CRDs, the program `cerebro operator` as a process, started with a token of its own
service account and the rights of `deploy/`. Faked: agents, of which there are only Leases and statuses, written by the
administrator. Times that are minutes in life are fractions of seconds in the operator's settings.
"""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from controlplane.processes import Process, launch
from controlplane.server import ControlPlane

DEVICE = """
apiVersion: relay.cerebro.dev/v1alpha1
kind: Device
metadata: {name: %s}
spec: {api: {address: 127.0.0.1, allowPlaintext: true, credentialsSecretRef: {name: router}}}
"""
CERTAIN = 180.0
"""Seconds that anything may take on a busy machine; no test asserts on time."""


class Cluster:
    """The namespace of a test, with the administrator's rights."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane = plane
        self.namespace = namespace

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return self.plane.kubectl(
            "--namespace", self.namespace, *arguments, stdin=stdin
        )

    def apply(self, manifest: dict[str, Any] | str) -> None:
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        self.kubectl("apply", "-f", "-", stdin=text)

    def device(self, name: str) -> None:
        self.apply(DEVICE % name)

    def hub(self, name: str, node: str) -> None:
        spec = {
            "nodeName": node,
            "addresses": ["10.7.0.1/24"],
            "endpoint": "vpn.example.org:51820",
        }
        self.apply(_object("Hub", name, spec))

    def session(self, name: str, device: str, **spec: Any) -> None:
        spec = {
            "deviceRef": {"name": device},
            "client": {"macAddress": "AA:BB:CC:00:00:01"},
            **spec,
        }
        self.apply(_object("Session", name, spec))

    def command(self, name: str, device: str, **spec: Any) -> None:
        spec = {"deviceRef": {"name": device}, "operation": "Arp", **spec}
        self.apply(_object("DeviceCommand", name, spec))

    def status(self, kind: str, name: str, **status: Any) -> None:
        """Write a status as an agent would."""
        patch = json.dumps({"status": status})
        self.kubectl(
            "patch",
            kind,
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            patch,
        )

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Read an object; empty when there is none."""
        text = self.kubectl(
            "get", kind, name, "--ignore-not-found", "-o", "json"
        )
        return dict(json.loads(text)) if text.strip() else {}

    def ready(self, kind: str, name: str) -> tuple[str, str] | None:
        """Status and reason of Ready."""
        conditions = (
            self.get(kind, name).get("status", {}).get("conditions", [])
        )
        found = [
            (item["status"], item["reason"])
            for item in conditions
            if item["type"] == "Ready"
        ]
        return found[0] if found else None

    def renew(self, lease: str, holder: str) -> None:
        """Renew a Lease as an agent would: each time with another time."""
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": 15,
            "renewTime": _now(),
        }
        manifest = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": lease},
        }
        self.apply({**manifest, "spec": spec})

    @contextmanager
    def renewing(self, *leases: str) -> Iterator[None]:
        """Renew Leases that exist three times a second, without a process for each as a slow machine has it."""
        stop = threading.Event()

        def renew() -> None:
            while not stop.wait(0.3):
                for lease in leases:
                    with suppress(OSError):
                        self._patch_lease(lease)

        thread = threading.Thread(target=renew, name="renewing")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _patch_lease(self, lease: str) -> None:
        made = self.plane.credentials
        url = f"{self.plane.url}/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{lease}"
        headers = {
            "Authorization": f"Bearer {made.admin_token}",
            "Content-Type": "application/merge-patch+json",
        }
        body = json.dumps({"spec": {"renewTime": _now()}}).encode()
        request = urllib.request.Request(url, body, headers, method="PATCH")
        trusted = ssl.create_default_context(cafile=str(made.ca))
        with urllib.request.urlopen(
            request, timeout=5, context=trusted
        ) as answer:
            answer.read()

    def until(
        self,
        check: Callable[[], object],
        what: str,
        within: float = CERTAIN,
    ) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + within
        while not check():
            assert time.monotonic() < deadline, (
                f"not within {within:g} s: {what}"
            )
            time.sleep(0.2)


class OperatorProcess:
    """`cerebro operator`, which can be killed and started again."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **more: str) -> None:
        program = str(Path(sys.executable).with_name("cerebro"))
        self.process = launch(
            Process(
                "operator", (program, "operator"), self._environment | more
            ),
            self.log,
        )

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and give the exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.process = None
        return code

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def says(self, text: str) -> bool:
        return text in self.log.read_text()


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture
def operator(
    namespace: str, account_kubeconfig: Callable[[str], Path], tmp_path: Path
) -> Iterator[OperatorProcess]:
    environment = {
        "KUBECONFIG": str(account_kubeconfig("cerebro-operator")),
        "CEREBRO_NAMESPACE": namespace,
        "CEREBRO_IDENTITY": "operator-under-test",
        "CEREBRO_HEALTH_ADDRESS": "127.0.0.1:0",
        "CEREBRO_AGENT_CHECK_INTERVAL": "0.3",
        "CEREBRO_AGENT_LOST_AFTER": "4",
        "CEREBRO_ORPHAN_INTERVAL": "0.5",
        "CEREBRO_SUPERSEDING_TTL": "2",
        "CEREBRO_BACKOFF_CEILING": "1",
        "CEREBRO_REQUEST_TIMEOUT": "5",
        "CEREBRO_LEASE_DURATION": "4",
        "CEREBRO_LEASE_RENEW_INTERVAL": "1",
    }
    process = OperatorProcess(environment, tmp_path / "operator.log")
    yield process
    if process.process is not None:
        process.end()
    print(process.log.read_text() if process.log.exists() else "")


def _now() -> str:
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        + f".{time.time_ns() % 10**9 // 1000:06d}Z"
    )


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    api = "relay.cerebro.dev/v1alpha1"
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }

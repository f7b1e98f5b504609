"""Cérebro in the cluster, by the commands of the install page."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.billing import Billing
from helm import binaries as helm

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "cerebro"
NODE = "node"
OVERLAY = "deploy/overlays/development"
CHART = (
    "cerebro",
    str(ROOT / "deploy" / "chart"),
    "--values",
    str(ROOT / "deploy" / "chart" / "ci" / "development.yaml"),
)
FINALIZER = (
    "--for=jsonpath={.metadata.finalizers[0]}=relay.cerebro.dev/cleanup"
)
"""What goes before the operator has noted it goes without a clean-up."""
NEXT = "localhost/cerebro:next"
"""The image under a second tag, for an update."""
PATIENCE = 120.0
"""Seconds that anything may take on a busy machine; no test asserts on time."""


class Installation:
    """What is installed, by kubectl."""

    def __init__(self, token: str, secret: str, **variables: str) -> None:
        """Take the bridge's token and secret, and its other variables by
        their names.
        """
        self._token, self._secret = token, secret
        self._variables = {
            "RELAY_TOKEN": token,
            "RELAY_API_SECRET": secret,
            **variables,
        }

    def install(self) -> None:
        """Do what docs/install.md says of kubectl."""
        self.prepare()
        self.kubectl("apply", "--server-side", "-k", "deploy/crds")
        self.kubectl("apply", "--server-side", "-k", OVERLAY)
        self.is_up()

    def prepare(self) -> None:
        """Make what comes before, whichever way one installs."""
        self.kubectl("create", "namespace", NAMESPACE)
        self.kubectl(
            "create",
            "secret",
            "generic",
            "cerebro-bridge",
            *(
                f"--from-literal={name}={value}"
                for name, value in self._variables.items()
            ),
        )
        self.kubectl(
            "create",
            "secret",
            "generic",
            "cerebro-metrics",
            f"--from-literal=token={self._token}",
        )
        self.kubectl("label", "node", NODE, "relay.cerebro.dev/hub=")

    def clean_up(self) -> None:
        """Delete Devices and Hubs, and what was made of them outside."""
        cleanup = '{"spec": {"deletionPolicy": "Cleanup"}}'
        for kind in ("devices", "hubs"):
            for name in self.kubectl("get", kind, "-o", "name").split():
                self.kubectl(
                    "patch", name, "--type=merge", f"--patch={cleanup}"
                )
                self.kubectl("wait", name, FINALIZER, "--timeout=60s")

            self.kubectl("delete", kind, "--all", "--timeout=120s")

        # Kubernetes collects the Peers later, and the operator lets them go.
        self.kubectl(
            "wait", "peers", "--all", "--for=delete", "--timeout=120s"
        )

    def is_up(self) -> None:
        """Wait until all pods are ready."""
        for workload in ("deployment/cerebro-operator", "ds/cerebro-agent"):
            self.kubectl("rollout", "status", workload, "--timeout=120s")

        # One that ends is asked about until it is gone.
        until(
            lambda: all(map(_is_ready, self.get("pods")["items"])),
            "all pods are ready",
        )

    def is_gone(self, pod: str) -> None:
        """Wait until a pod is gone."""
        words = ("wait", f"pod/{pod}", "--for=delete", "--timeout=120s")
        self.kubectl(*words)

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Run kubectl in our namespace, from the root of the repository."""
        done = subprocess.run(
            ["kubectl", "--namespace", NAMESPACE, *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            timeout=300,
        )
        assert done.returncode == 0, f"kubectl {words}: {done.stderr}"
        return done.stdout

    def get(self, *words: str) -> dict[str, Any]:
        """Read an object, or a list of them."""
        read: dict[str, Any] = json.loads(
            self.kubectl("get", *words, "-o", "json")
        )
        return read

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Apply objects, as a person does."""
        listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
        self.kubectl(
            "apply", "--server-side", "-f", "-", stdin=json.dumps(listed)
        )

    def pods(self, name: str) -> list[dict[str, Any]]:
        """Return the pods of a workload."""
        label = f"app.kubernetes.io/name={name}"
        items: list[dict[str, Any]] = self.get("pods", "-l", label)["items"]
        return items

    def images(self, name: str) -> set[str]:
        """Return the tags of the images that a workload's pods run."""
        return {
            container["image"].rpartition(":")[2]
            for pod in self.pods(name)
            for container in pod["spec"]["containers"]
        }

    def billing(self) -> Billing:
        """Return a backend that calls the Service."""
        service = self.get("service", "cerebro-bridge")
        address = service["spec"]["clusterIP"]
        return Billing(f"http://{address}", self._token, self._secret)


class ChartInstallation(Installation):
    """The same, by Helm."""

    def install(self, *chart: str) -> None:
        """Do what docs/install.md says of Helm, by default with this chart."""
        self.prepare()
        self.helm("install", *(chart or CHART))
        self.is_up()

    def upgrade(self, *settings: str) -> None:
        """Upgrade to this chart with other values, and wait as `helm` does."""
        words = [word for setting in settings for word in ("--set", setting)]
        self.helm("upgrade", *CHART, *words, "--wait", "--timeout=2m")

    def uninstall(self) -> None:
        """Take away what the chart has, and then what it keeps."""
        self.helm("uninstall", "cerebro", "--wait", "--timeout=2m")
        self.kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")
        self.kubectl("label", "node", NODE, "relay.cerebro.dev/hub-")

    def helm(self, *words: str) -> str:
        """Run helm in our namespace."""
        return helm.run("--namespace", NAMESPACE, *words)


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in conditions
    )


def until(
    check: Callable[[], object],
    what: str,
    seen: Callable[[], object] = str,
) -> None:
    """Wait until something is so; fail with what was seen last."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, f"{what}; seen last: {seen()}"
        time.sleep(0.05)

"""Runs etcd, kube-apiserver and kube-controller-manager on loopback, each on a
free port.

Several may run at once. The API server can be stopped and started on its port
with its data, and etcd's history can be compacted, so that tests meet what a
real cluster does to its clients.
"""

import base64
import json
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Self

from controlplane import audit, binaries, credentials
from controlplane.processes import Process, end, free_port, launch
from controlplane.progress import wait_until

READY_TIMEOUT = 240.0
_PUTS_AT_ONCE = 100
CALL_TIMEOUT = 120.0
ETCD, API_SERVER, CONTROLLER_MANAGER = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
)
ISSUER = "https://kubernetes.default.svc"


class ControlPlane:
    """One control plane below `folder`: certificates, etcd's data, logs and
    kubeconfig files lie there.

    `kubeconfig` is the administrator's; processes under test get
    `account_kubeconfig`. With `audited` the API server writes down what
    service accounts call for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        programs: binaries.Binaries | None = None,
        audited: bool = False,
    ) -> None:
        self.folder = folder
        self._audited = audited
        self.programs = programs or binaries.ensure()
        self.logs = folder / "log"
        self.port, self._etcd_port, peer_port = (
            free_port(),
            free_port(),
            free_port(),
        )
        self._peer_url = f"http://127.0.0.1:{peer_port}"
        self.url = f"https://127.0.0.1:{self.port}"
        self.credentials = credentials.make_credentials(folder / "pki")
        self.kubeconfig = credentials.write_kubeconfig(
            folder / "admin.kubeconfig",
            server=self.url,
            ca=self.credentials.ca,
            token=self.credentials.admin_token,
        )
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def etcd_url(self) -> str:
        """Where etcd's clients, the API server and `compact`, reach it."""
        return f"http://127.0.0.1:{self._etcd_port}"

    def processes(self) -> list[Process]:
        """What has to run, in the order of starting, for a supervisor of one's
        own; `start` does the same.
        """
        listed = [self._etcd(), self._api_server()]
        if self.programs.kube_controller_manager is not None:
            listed.append(
                self._controller_manager(self.programs.kube_controller_manager)
            )
        return listed

    def start(self) -> Self:
        """Start everything and wait until the API server is ready; on failure
        nothing stays behind.
        """
        try:
            for process in self.processes():
                if process.name == CONTROLLER_MANAGER:
                    self.wait_ready()
                self._children[process.name] = launch(
                    process, self.logs / f"{process.name}.log"
                )
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop everything; harmless when it is stopped already."""
        for name in (CONTROLLER_MANAGER, API_SERVER, ETCD):
            child = self._children.pop(name, None)
            if child is not None:
                end(child, grace=0 if name == CONTROLLER_MANAGER else 3)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop_api_server(self, *, grace: float = 0) -> None:
        """Stop the API server alone: killed at once, or asked to end with
        `grace` seconds to do so.
        """
        end(self._children.pop(API_SERVER), grace=grace)

    def start_api_server(self, *, wait: bool = True) -> None:
        """Start it again on the same port with the same data."""
        if API_SERVER in self._children:
            raise RuntimeError("the API server is running already")
        self._children[API_SERVER] = launch(
            self._api_server(), self.logs / f"{API_SERVER}.log"
        )
        if wait:
            self.wait_ready()

    def is_ready(self) -> bool:
        """Whether `/readyz` says ok now."""
        context = ssl.create_default_context(cafile=str(self.credentials.ca))
        try:
            with urllib.request.urlopen(  # noqa: S310 - the URL is ours
                f"{self.url}/readyz", timeout=2, context=context
            ) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Wait for `/readyz`. Raises RuntimeError with the end of the log when
        a process has ended.
        """

        def check() -> bool:
            for name, child in self._children.items():
                if child.poll() is not None:
                    tail = (self.logs / f"{name}.log").read_text(
                        errors="replace"
                    )[-2000:]
                    raise RuntimeError(
                        f"{name} ended with {child.returncode}:\n{tail}"
                    )
            return self.is_ready()

        wait_until(
            check, f"kube-apiserver at {self.url} ready", timeout=timeout
        )

    def kubectl(
        self,
        *arguments: str,
        stdin: str | None = None,
        timeout: float = CALL_TIMEOUT,
    ) -> str:
        """Run kubectl as administrator and return its output. Raises
        RuntimeError with its error text.
        """
        command = [
            str(self.programs.kubectl),
            "--kubeconfig",
            str(self.kubeconfig),
            *arguments,
        ]
        done = subprocess.run(
            command,
            input=stdin,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"kubectl {' '.join(arguments)}: {done.stderr.strip()}"
            )
        return done.stdout

    def account_kubeconfig(
        self, account: str, namespace: str, *, server: str | None = None
    ) -> Path:
        """A kubeconfig with a token of a service account that exists; `server`
        may be a proxy.
        """
        token = self.kubectl(
            "create",
            "token",
            account,
            "--namespace",
            namespace,
            "--duration",
            "8760h",
        )
        return credentials.write_kubeconfig(
            self.folder / "accounts" / f"{namespace}-{account}.kubeconfig",
            server=server or self.url,
            ca=self.credentials.ca,
            token=token.strip(),
            namespace=namespace,
        )

    def compact(self) -> int:
        """Drop etcd's history up to now and return that revision.

        A running API server still has recent changes in its own watch cache: a
        watch that resumes gets 410 Gone only after `stop_api_server` and
        `start_api_server`.
        """
        any_key = base64.b64encode(b"\0").decode()
        revision = int(
            self._etcd_call("range", {"key": any_key})["header"]["revision"]
        )
        self._etcd_call("compaction", {"revision": revision, "physical": True})
        return revision

    def versions(self, prefix: str) -> list[tuple[str, int]]:
        """Return the keys of etcd that begin with `prefix`, each with the
        number of its revisions since it was created.
        """
        first = prefix.encode()
        after = first[:-1] + bytes([first[-1] + 1])
        body = {
            "key": base64.b64encode(first).decode(),
            "range_end": base64.b64encode(after).decode(),
            "keys_only": True,
        }
        listed = self._etcd_call("range", body).get("kvs", [])
        return [
            (base64.b64decode(each["key"]).decode(), int(each["version"]))
            for each in listed
        ]

    def put(self, values: Iterable[tuple[str, bytes]]) -> None:
        """Write keys of etcd past the API server, which hears of them as of
        its own writes.
        """
        waiting = iter(values)
        while some := list(islice(waiting, _PUTS_AT_ONCE)):
            puts = [
                {
                    "request_put": {
                        "key": base64.b64encode(key.encode()).decode(),
                        "value": base64.b64encode(value).decode(),
                    }
                }
                for key, value in some
            ]
            self._etcd_call("txn", {"success": puts})

    def value(self, key: str) -> bytes:
        """Return the value of a key of etcd. Raises KeyError if it has none."""
        body = {"key": base64.b64encode(key.encode()).decode()}
        listed = self._etcd_call("range", body).get("kvs", [])
        if not listed:
            raise KeyError(key)
        return base64.b64decode(listed[0]["value"])

    def _etcd_call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the URL is ours
            f"{self.etcd_url}/v3/kv/{method}", data=data
        )
        with urllib.request.urlopen(request, timeout=CALL_TIMEOUT) as answer:  # noqa: S310
            result: dict[str, Any] = json.load(answer)
        return result

    def _etcd(self) -> Process:
        flags = {
            "data-dir": str(self.folder / "etcd"),
            "listen-client-urls": self.etcd_url,
            "advertise-client-urls": self.etcd_url,
            "listen-peer-urls": self._peer_url,
            "initial-advertise-peer-urls": self._peer_url,
            "initial-cluster": f"default={self._peer_url}",
            "unsafe-no-fsync": "true",  # a crash of the machine may cost the data; nothing here is kept
            "log-level": "warn",
        }
        return Process(ETCD, (str(self.programs.etcd), *_words(flags)))

    def _api_server(self) -> Process:
        made = self.credentials
        flags = {
            "etcd-servers": self.etcd_url,
            "bind-address": "127.0.0.1",
            "advertise-address": "127.0.0.1",
            "secure-port": str(self.port),
            "tls-cert-file": str(made.certificate),
            "tls-private-key-file": str(made.key),
            "token-auth-file": str(made.tokens),
            "authorization-mode": "RBAC",
            "service-account-issuer": ISSUER,
            "service-account-key-file": str(made.service_account_key),
            "service-account-signing-key-file": str(made.service_account_key),
            "service-cluster-ip-range": "10.0.0.0/24",
            "disable-admission-plugins": "ServiceAccount",  # it waits for a controller that does not run here
            "endpoint-reconciler-type": "none",
        }
        if self._audited:
            flags |= audit.flags(self.folder)

        return Process(
            API_SERVER, (str(self.programs.kube_apiserver), *_words(flags))
        )

    def _controller_manager(self, program: Path) -> Process:
        flags = {
            "kubeconfig": str(self.kubeconfig),
            "controllers": "garbage-collector-controller,namespace-controller",
            "leader-elect": "false",
            "secure-port": "0",
        }
        return Process(CONTROLLER_MANAGER, (str(program), *_words(flags)))


def _words(flags: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"--{name}={value}" for name, value in flags.items())

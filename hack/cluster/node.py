"""The programs of a node and their settings: control plane, containerd, kubelet, kube-proxy."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.namespaces import ADDRESS, NODE
from controlplane import credentials
from controlplane.processes import Process, end, launch
from controlplane.progress import wait_until

SERVICES = "10.91.0.0/16"
PODS = "10.92.0.0/24"
PAUSE = "localhost/pause:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
_API_PORT = 6443
_ETCD = "http://127.0.0.1:2379"
_READY_TIMEOUT = 240.0

_CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


@dataclass(frozen=True)
class Programs:
    """Where the programs are."""

    folder: Path
    """etcd, kubectl and Kubernetes' own."""

    containerd: Path

    def path(self, name: str) -> str:
        """Return the path of a program of Kubernetes, or etcd."""
        return str(self.folder / name)


class Node:
    """A cluster of this one node. `folder` takes its data, logs and files."""

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.folder = folder
        self.programs = programs
        self.url = f"https://{ADDRESS}:{_API_PORT}"
        self._pki = credentials.make_credentials(
            folder / "pki", addresses=[ADDRESS, "10.91.0.1"]
        )
        self.kubeconfig = credentials.write_kubeconfig(
            folder / "admin.kubeconfig",
            server=self.url,
            ca=self._pki.ca,
            token=self._pki.admin_token,
        )

    @contextmanager
    def running(self) -> Iterator["Node"]:
        """Run everything as long as the context lasts; the node is ready."""
        children: list[subprocess.Popen[bytes]] = []
        try:
            for process in self._processes():
                log = self.folder / "log" / f"{process.name}.log"
                children.append(launch(process, log))
                if process.name == "kube-apiserver":
                    self._wait_for_api_server()

            self.kubectl(
                "wait", "--for=create", f"node/{NODE}", "--timeout=120s"
            )
            self.kubectl(
                "wait",
                "--for=condition=Ready",
                f"node/{NODE}",
                "--timeout=120s",
            )
            yield self
        finally:
            end(*reversed(children), grace=2)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as administrator; return its output. Raises
        RuntimeError with its error text.
        """
        command = [self.programs.path("kubectl"), "--kubeconfig"]
        command += [str(self.kubeconfig), *arguments]
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if done.returncode:
            raise RuntimeError(
                f"kubectl {' '.join(arguments)}: {done.stderr.strip()}"
            )

        return done.stdout

    def import_image(self, archive: Path) -> None:
        """Bring an image to the node, from a docker archive."""
        command = ["ctr", "--address", CONTAINERD_SOCKET]
        command += ["--namespace", "k8s.io", "images", "import", str(archive)]
        subprocess.run(command, check=True, capture_output=True, timeout=300)

    def _wait_for_api_server(self) -> None:
        def ready() -> bool:
            try:
                return self.kubectl("get", "--raw", "/readyz") == "ok"
            except RuntimeError:
                return False

        wait_until(ready, "kube-apiserver is ready", timeout=_READY_TIMEOUT)

    def _processes(self) -> list[Process]:
        """Return what has to run, in the order of starting."""
        return [
            self._program("etcd", **self._etcd()),
            self._program("kube-apiserver", **self._api_server()),
            self._program(
                "kube-controller-manager", **self._controller_manager()
            ),
            self._program(
                "kube-scheduler",
                kubeconfig=str(self.kubeconfig),
                leader_elect="false",
                secure_port="0",
            ),
            self._containerd(),
            self._program("kubelet", **self._kubelet()),
            self._program("kube-proxy", config=str(self._proxy_file())),
        ]

    def _program(self, name: str, **flags: str) -> Process:
        words = [
            f"--{flag.replace('_', '-')}={value}"
            for flag, value in flags.items()
        ]
        return Process(name, (self.programs.path(name), *words))

    def _etcd(self) -> dict[str, str]:
        return {
            "data_dir": str(self.folder / "etcd"),
            "listen_client_urls": _ETCD,
            "advertise_client_urls": _ETCD,
            "unsafe_no_fsync": "true",
            "log_level": "warn",
        }

    def _api_server(self) -> dict[str, str]:
        made = self._pki
        return {
            "etcd_servers": _ETCD,
            "bind_address": ADDRESS,
            "advertise_address": ADDRESS,
            "secure_port": str(_API_PORT),
            "tls_cert_file": str(made.certificate),
            "tls_private_key_file": str(made.key),
            "token_auth_file": str(made.tokens),
            "authorization_mode": "Node,RBAC",
            "service_account_issuer": "https://kubernetes.default.svc",
            "service_account_key_file": str(made.service_account_key),
            "service_account_signing_key_file": str(made.service_account_key),
            "service_cluster_ip_range": SERVICES,
            "kubelet_preferred_address_types": "InternalIP",
            "allow_privileged": "true",
        }

    def _controller_manager(self) -> dict[str, str]:
        return {
            "kubeconfig": str(self.kubeconfig),
            "leader_elect": "false",
            "secure_port": "0",
            "service_account_private_key_file": str(
                self._pki.service_account_key
            ),
            "root_ca_file": str(self._pki.ca),
            "use_service_account_credentials": "false",
        }

    def _containerd(self) -> Process:
        cni = self.folder / "cni"
        cni.mkdir(parents=True, exist_ok=True)
        network = {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [
                {
                    "type": "bridge",
                    "bridge": "pods0",
                    "isGateway": True,
                    "ipMasq": False,
                    "hairpinMode": True,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{"subnet": PODS}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                        "dataDir": "/run/cni-addresses",
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }
        (cni / "10-pods.conflist").write_text(json.dumps(network))
        file = self.folder / "containerd.toml"
        file.write_text(
            _CONTAINERD.format(
                folder=self.folder, socket=CONTAINERD_SOCKET, pause=PAUSE
            )
        )
        return Process(
            "containerd", (str(self.programs.containerd), "-c", str(file))
        )

    def _kubelet(self) -> dict[str, str]:
        configuration = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            # Nobody else is in this network.
            "authentication": {
                "anonymous": {"enabled": True},
                "webhook": {"enabled": False},
            },
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "maxOpenFiles": 20000,
            "oomScoreAdj": 0,
            "resolvConf": "",
            "evictionHard": {"memory.available": "50Mi"},
            "imageGCHighThresholdPercent": 100,
        }
        file = self.folder / "kubelet.json"
        file.write_text(json.dumps(configuration))
        return {
            "config": str(file),
            "kubeconfig": str(self.kubeconfig),
            "hostname_override": NODE,
            "node_ip": ADDRESS,
            "cert_dir": str(self.folder / "kubelet-pki"),
        }

    def _proxy_file(self) -> Path:
        configuration = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clusterCIDR": PODS,
            "hostnameOverride": NODE,
            "clientConnection": {"kubeconfig": str(self.kubeconfig)},
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
        file = self.folder / "kube-proxy.json"
        file.write_text(json.dumps(configuration))
        return file

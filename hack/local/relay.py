"""What the local relay consists of and in which order it comes up; the supervising process runs it."""

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from controlplane import apply, credentials
from controlplane.processes import Process
from controlplane.progress import Progress, wait_until
from controlplane.server import CONTROLLER_MANAGER, ControlPlane
from local.settings import ADDRESS, NAMESPACE, Router, Settings, draw, environment_file
from local.supervisor import Supervisor

ROOT = Path(__file__).parents[2]
HACK = ROOT / "hack"
FOLDER = Path(os.environ.get("CEREBRO_LOCAL_FOLDER") or ROOT / ".local").resolve()
START_TIMEOUT = 120.0
READY_TIMEOUT = "180s"
RESYNC_INTERVAL = "30s"  # an entry that somebody removed by hand at a router is soon back


def bring_up(routers: int) -> Supervisor:
    """Start everything and return once each Device is Ready; on failure everything is stopped again."""
    supervisor = Supervisor(FOLDER / "pid", FOLDER / "log")
    settings = draw(routers)
    try:
        plane = start(supervisor, settings, FOLDER)
        with Progress(f"{len(settings.routers)} Devices Ready"):
            _apply_devices(plane, settings)
    except BaseException:
        supervisor.stop()
        raise
    for name in supervisor.unsteady():
        print(
            f"warning: {name} ended and was started again, see {FOLDER / 'log' / name}.log", file=sys.stderr
        )
    return supervisor


def start(supervisor: Supervisor, settings: Settings, folder: Path) -> ControlPlane:
    """Start control plane, backend, routers and our processes, with their files in `folder`; no Device yet."""
    plane = ControlPlane(folder / "controlplane")
    with Progress("control plane"):
        _start_control_plane(supervisor, plane)
    with Progress("CRDs, service accounts and roles"):
        apply.apply_crds(plane)
        accounts = apply.apply_rights(plane, NAMESPACE)
        tokens = {account: plane.account_kubeconfig(account, NAMESPACE) for account in accounts}
    with Progress(f"backend and {len(settings.routers)} simulated routers"):
        supervisor.add(backend(settings))
        supervisor.add(simulator(settings))
        _wait_for(f"{settings.simulator_url}/health", folder)
    with Progress("agent, operator and bridge"):
        for process in relay(settings, tokens, folder):
            supervisor.add(process)
        for ready in (f"{settings.bridge_url}/health", *(f"{url}/readyz" for url in settings.health_urls)):
            _wait_for(ready, folder)
    write_environment(settings, plane, folder)
    return plane


def _apply_devices(plane: ControlPlane, settings: Settings) -> None:
    plane.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifests(settings.routers)))
    plane.kubectl(
        *("wait", "devices.relay.cerebro.dev", "--all", "--for=condition=Ready"),
        *(f"--namespace={NAMESPACE}", f"--timeout={READY_TIMEOUT}"),
        timeout=200,
    )


def backend(settings: Settings) -> Process:
    """The fake backend."""
    argv = (sys.executable, "-m", "backend", "--listen", f"{ADDRESS}:{settings.backend_port}")
    secret = settings.secrets["BACKEND_HMAC_SECRET"]
    return Process("backend", argv, {"BACKEND_HMAC_SECRET": secret}, cwd=HACK)


def simulator(settings: Settings) -> Process:
    """One process with all routers; started again it has them as new."""
    routers = [
        f"--router=name={router.name},serial={router.serial},port={router.port}"
        f",user={router.user},password={router.password}"
        for router in settings.routers
    ]
    argv = (sys.executable, "-m", "simulator", "--control", f"{ADDRESS}:{settings.simulator_port}", *routers)
    return Process("simulator", argv, cwd=HACK)


def relay(settings: Settings, tokens: dict[str, Path], folder: Path) -> list[Process]:
    """Agent, operator and bridge; the bridge shares the operator's account, as in one pod."""
    program = str(Path(sys.executable).parent / "cerebro")
    agent, operator = (
        {"KUBECONFIG": str(tokens[account]), "CEREBRO_NAMESPACE": NAMESPACE}
        for account in ("cerebro-agent", "cerebro-operator")
    )
    bridge = operator | settings.relay_environment()
    bridge |= {"BIND_HOST": ADDRESS, "PORT": str(settings.bridge_port)}
    bridge |= {"CEREBRO_STORE": str(folder / "bridge" / "relay.db")}
    agent |= {
        "CEREBRO_NODE_NAME": "local",
        "CEREBRO_HEALTH_ADDRESS": f"{ADDRESS}:{settings.agent_health_port}",
    }
    operator |= {"CEREBRO_HEALTH_ADDRESS": f"{ADDRESS}:{settings.operator_health_port}"}
    return [
        Process("agent", (program, "agent"), agent, cwd=folder),
        Process("operator", (program, "operator"), operator, cwd=folder),
        Process("bridge", (program, "bridge"), bridge, cwd=folder),
    ]


def manifests(routers: tuple[Router, ...]) -> dict[str, Any]:
    """A List with a Secret and a Device for each router, as a person would apply them."""
    items = [part for router in routers for part in (_secret(router), _device(router))]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _secret(router: Router) -> dict[str, Any]:
    bound = {"relay.cerebro.dev/device": router.name, "relay.cerebro.dev/address": ADDRESS}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": router.name, "namespace": NAMESPACE, "annotations": bound},
        "type": "relay.cerebro.dev/router",
        "stringData": {"username": router.user, "password": router.password},
    }


def _device(router: Router) -> dict[str, Any]:
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Device",
        "metadata": {"name": router.name, "namespace": NAMESPACE},
        "spec": {
            "api": {
                "address": ADDRESS,
                "port": router.port,
                "allowPlaintext": True,
                "credentialsSecretRef": {"name": router.name},
            },
            "resyncInterval": RESYNC_INTERVAL,
        },
    }


def _start_control_plane(supervisor: Supervisor, plane: ControlPlane) -> None:
    for process in plane.processes():
        if process.name == CONTROLLER_MANAGER:
            plane.wait_ready()
        supervisor.add(process, foundation=True)
    plane.wait_ready()


def write_environment(settings: Settings, plane: ControlPlane, folder: Path) -> None:
    """Write `env`, the file that people and tests source, and what it names."""
    kubeconfig = credentials.write_kubeconfig(
        folder / "kubeconfig",
        server=plane.url,
        ca=plane.credentials.ca,
        token=plane.credentials.admin_token,
        namespace=NAMESPACE,
    )
    programs = folder / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(plane.programs.kubectl)
    file = folder / "env"
    file.touch(mode=0o600)
    file.write_text(environment_file(settings, kubeconfig, programs))


def _wait_for(url: str, folder: Path) -> None:
    def answers() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    wait_until(answers, f"{url} answers (its log is in {folder / 'log'})", timeout=START_TIMEOUT)


def clear_folder(*, keep: Path) -> None:
    """Empty `.local/` but for the file `keep`; only its owner may enter it, for it holds keys and tokens."""
    FOLDER.chmod(0o700)
    for path in FOLDER.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != keep:
            path.unlink()

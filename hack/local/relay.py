"""What the local relay consists of and in which order it comes up; the
supervising process runs it.
"""

import json
import os
import shutil
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from controlplane import apply, credentials
from controlplane.processes import Process
from controlplane.progress import Progress, wait_until
from controlplane.server import CONTROLLER_MANAGER, ControlPlane
from local.settings import (
    ADDRESS,
    NAMESPACE,
    Router,
    Settings,
    environment_file,
)
from local.store import bridges, redis
from local.supervisor import Supervisor
from local.tunnels import Tunnels, device, why_not

ROOT = Path(__file__).parents[2]
HACK = ROOT / "hack"
FOLDER = Path(
    os.environ.get("CEREBRO_LOCAL_FOLDER") or ROOT / ".local"
).resolve()
START_TIMEOUT = 120.0
READY_TIMEOUT = "180s"
RESYNC_INTERVAL = (
    "30s"  # an entry that somebody removed by hand at a router is soon back
)


def bring_up(settings: Settings) -> ExitStack:
    """Start everything and return once each Device is Ready; closing what is
    returned stops it all.

    On failure everything is stopped again.
    """
    with ExitStack() as stack:
        supervisor, tunnels = prepare(stack, settings, FOLDER)
        plane = start(supervisor, settings, FOLDER, tunnels)
        with Progress(f"{len(settings.routers)} Devices Ready"):
            apply_devices(plane, settings, tunnels)
        for name in supervisor.unsteady():
            print(
                f"warning: {name} ended and was started again, see {FOLDER / 'log' / name}.log",
                file=sys.stderr,
            )
        return stack.pop_all()


def prepare(
    stack: ExitStack, settings: Settings, folder: Path
) -> tuple[Supervisor, Tunnels | None]:
    """Make what `start` needs; nothing runs yet. The tunnels are None, and it
    is said why, where none can be.
    """
    supervisor = Supervisor(folder / "pid", folder / "log")
    reason = why_not(len(settings.routers))
    tunnels = None if reason else Tunnels(supervisor, settings, folder)
    if tunnels is not None:
        stack.callback(tunnels.close)
    stack.callback(supervisor.stop)
    print(reached(reason), file=sys.stderr)
    return supervisor, tunnels


def reached(reason: str | None) -> str:
    """Say how routers are reached, and why directly."""
    if reason is None:
        return "routers are reached through WireGuard"
    return f"routers are reached directly, without WireGuard: {reason}"


def start(
    supervisor: Supervisor,
    settings: Settings,
    folder: Path,
    tunnels: Tunnels | None = None,
) -> ControlPlane:
    """Start control plane, backend, routers and our processes, with their
    files in `folder`; no Device yet.
    """
    plane = ControlPlane(folder / "controlplane")
    with Progress("control plane"):
        _start_control_plane(supervisor, plane)
    with Progress("CRDs, service accounts and roles"):
        apply.apply_crds(plane)
        accounts = apply.apply_rights(plane, NAMESPACE)
        tokens = {
            account: plane.account_kubeconfig(account, NAMESPACE)
            for account in accounts
        }
    with Progress(f"backend and {len(settings.routers)} simulated routers"):
        supervisor.add(backend(settings))
        supervisor.add(simulator(settings))
        _wait_for(f"{settings.simulator_url}/health", folder)
    if tunnels is not None:
        tunnels.open(plane.port)
    store = redis(settings, folder)
    if store is not None:
        supervisor.add(store, foundation=True)
    with Progress("agent, operator and bridge"):
        for process in relay(settings, tokens, folder, tunnels):
            supervisor.add(process)
        for ready in (
            *(f"{url}/health" for url in settings.bridge_urls),
            *(f"{url}/readyz" for url in settings.health_urls),
        ):
            _wait_for(ready, folder)
    write_environment(settings, plane, folder)
    return plane


def apply_devices(
    plane: ControlPlane, settings: Settings, tunnels: Tunnels | None
) -> None:
    """Declare all routers; return once each Device is Ready."""
    wanted = manifests(settings.routers, tunnels)
    plane.kubectl(
        "apply", "--server-side", "-f", "-", stdin=json.dumps(wanted)
    )
    if tunnels is not None:
        tunnels.connect(plane)
    plane.kubectl(
        *(
            "wait",
            "devices.relay.cerebro.dev",
            "--all",
            "--for=condition=Ready",
        ),
        *(f"--namespace={NAMESPACE}", f"--timeout={READY_TIMEOUT}"),
        timeout=200,
    )


def backend(settings: Settings) -> Process:
    """The fake backend."""
    argv = (
        sys.executable,
        "-m",
        "backend",
        "--listen",
        f"{ADDRESS}:{settings.backend_port}",
    )
    secret = settings.secrets["BACKEND_HMAC_SECRET"]
    return Process("backend", argv, {"BACKEND_HMAC_SECRET": secret}, cwd=HACK)


def simulator(settings: Settings) -> Process:
    """One process with all routers; started again it has them as new."""
    routers = [
        f"--router=name={router.name},serial={router.serial},port={router.port}"
        f",user={router.user},password={router.password}"
        for router in settings.routers
    ]
    argv = (
        sys.executable,
        "-m",
        "simulator",
        "--control",
        f"{ADDRESS}:{settings.simulator_port}",
        *routers,
    )
    return Process("simulator", argv, cwd=HACK)


def relay(
    settings: Settings,
    tokens: dict[str, Path],
    folder: Path,
    tunnels: Tunnels | None,
) -> list[Process]:
    """Agent, operator and bridges; these share the operator's account, as in
    one pod.

    With tunnels the agent is in the hub's node, and beside it `cerebro
    tunnel`, which carries its interfaces.
    """
    program = str(Path(sys.executable).parent / "cerebro")
    agent, operator = (
        {"KUBECONFIG": str(tokens[account]), "CEREBRO_NAMESPACE": NAMESPACE}
        for account in ("cerebro-agent", "cerebro-operator")
    )
    to_bridges = dict(operator)  # before it gets what is the operator's own
    agent |= {
        "CEREBRO_NODE_NAME": "local",
        "CEREBRO_HEALTH_ADDRESS": f"{ADDRESS}:{settings.agent_health_port}",
    }
    operator |= {
        "CEREBRO_HEALTH_ADDRESS": f"{ADDRESS}:{settings.operator_health_port}"
    }
    on_node = [Process("agent", (program, "agent"), agent, cwd=folder)]
    if tunnels is not None:
        on_node.insert(0, Process("tunnel", (program, "tunnel"), cwd=folder))
        on_node = [tunnels.in_hub(process) for process in on_node]
    return [
        *on_node,
        Process("operator", (program, "operator"), operator, cwd=folder),
        *bridges(settings, to_bridges, folder),
    ]


def manifests(
    routers: tuple[Router, ...], tunnels: Tunnels | None = None
) -> dict[str, Any]:
    """A List with a Secret and a Device for each router, as a person would
    apply them; with tunnels, the Hub.
    """
    hubs = [] if tunnels is None else [tunnels.manifest()]
    items = [
        part
        for router in routers
        for part in (_secret(router, tunnels), _device(router, tunnels))
    ]
    return {"apiVersion": "v1", "kind": "List", "items": hubs + items}


def _secret(router: Router, tunnels: Tunnels | None) -> dict[str, Any]:
    bound = {"relay.cerebro.dev/device": router.name}
    if tunnels is None:
        bound["relay.cerebro.dev/address"] = ADDRESS
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": router.name,
            "namespace": NAMESPACE,
            "annotations": bound,
        },
        "type": "relay.cerebro.dev/router",
        "stringData": {"username": router.user, "password": router.password},
    }


def _device(router: Router, tunnels: Tunnels | None) -> dict[str, Any]:
    direct = {
        "api": {
            "address": ADDRESS,
            "port": router.port,
            "allowPlaintext": True,
            "credentialsSecretRef": {"name": router.name},
        }
    }
    way = direct if tunnels is None else device(router, tunnels)
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Device",
        "metadata": {"name": router.name, "namespace": NAMESPACE},
        "spec": {**way, "resyncInterval": RESYNC_INTERVAL},
    }


def _start_control_plane(supervisor: Supervisor, plane: ControlPlane) -> None:
    for process in plane.processes():
        if process.name == CONTROLLER_MANAGER:
            plane.wait_ready()
        supervisor.add(process, foundation=True)
    plane.wait_ready()


def write_environment(
    settings: Settings, plane: ControlPlane, folder: Path
) -> None:
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

    wait_until(
        answers,
        f"{url} answers (its log is in {folder / 'log'})",
        timeout=START_TIMEOUT,
    )


def clear_folder(*, keep: Path) -> None:
    """Empty `.local/` but for the file `keep`; only its owner may enter it,
    for it holds keys and tokens.
    """
    FOLDER.chmod(0o700)
    for path in FOLDER.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != keep:
            path.unlink()

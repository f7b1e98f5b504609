"""The control plane that other tests stand on behaves as a cluster does. All of it is real."""

import json
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.progress import wait_until
from controlplane.server import ControlPlane

ROOT = Path(__file__).parents[3]
WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.test.cerebro.dev}
spec:
  group: test.cerebro.dev
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    selectableFields: [{jsonPath: .spec.colour}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {colour: {type: string, maxLength: 20}}
            x-kubernetes-validations:
            - {rule: "self.colour != 'mauve'", message: "colour: write red or blue instead of mauve"}
"""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane of the test's own, for those that stop parts of it."""
    with ControlPlane(tmp_path) as own:
        yield own


@pytest.fixture(scope="module")
def widgets(bare_control_plane: ControlPlane) -> ControlPlane:
    bare_control_plane.kubectl("apply", "-f", "-", stdin=WIDGETS)
    bare_control_plane.kubectl(
        "wait", "--for=condition=Established", "crd/widgets.test.cerebro.dev"
    )
    return bare_control_plane


def widget(name: str, colour: str) -> str:
    made = {
        "apiVersion": "test.cerebro.dev/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"colour": colour},
    }
    return json.dumps(made)


def test_the_version_that_go_mod_names_is_running(
    bare_control_plane: ControlPlane,
) -> None:
    told = json.loads(bare_control_plane.kubectl("version", "-o", "json"))
    assert (
        told["serverVersion"]["gitVersion"]
        == told["clientVersion"]["gitVersion"]
    )
    assert told["serverVersion"]["minor"] == "36"


def test_a_service_account_may_do_what_its_role_says_and_nothing_else(
    bare_control_plane: ControlPlane,
) -> None:
    plane = bare_control_plane
    plane.kubectl("create", "namespace", "rights")
    plane.kubectl("create", "serviceaccount", "reader", "-n", "rights")
    plane.kubectl(
        "create",
        "role",
        "reader",
        "--verb=get,list",
        "--resource=configmaps",
        "-n",
        "rights",
    )
    plane.kubectl(
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        "--serviceaccount=rights:reader",
        "-n",
        "rights",
    )
    own = ("--kubeconfig", str(plane.account_kubeconfig("reader", "rights")))

    assert (
        json.loads(plane.kubectl(*own, "get", "configmaps", "-o", "json"))[
            "kind"
        ]
        == "List"
    )
    with pytest.raises(
        RuntimeError,
        match=r"system:serviceaccount:rights:reader.* cannot list.*secrets",
    ):
        plane.kubectl(*own, "get", "secrets")
    with pytest.raises(RuntimeError, match="cannot list"):
        plane.kubectl(*own, "get", "configmaps", "-n", "default")


def test_cel_rules_and_selectable_fields_work(widgets: ControlPlane) -> None:
    widgets.kubectl("apply", "-f", "-", stdin=widget("one", "red"))
    widgets.kubectl("apply", "-f", "-", stdin=widget("two", "blue"))
    with pytest.raises(
        RuntimeError, match="colour: write red or blue instead of mauve"
    ):
        widgets.kubectl("apply", "-f", "-", stdin=widget("three", "mauve"))
    chosen = widgets.kubectl(
        "get", "widgets", "--field-selector", "spec.colour=red", "-o", "name"
    )
    assert chosen.split() == ["widget.test.cerebro.dev/one"]


def test_owned_objects_are_garbage_collected(
    bare_control_plane: ControlPlane,
) -> None:
    plane = bare_control_plane
    plane.kubectl("create", "configmap", "owner")
    uid = plane.kubectl(
        "get", "configmap", "owner", "-o", "jsonpath={.metadata.uid}"
    )
    owner = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": uid,
    }
    owned: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "owned",
            "namespace": "default",
            "ownerReferences": [owner],
        },
    }
    plane.kubectl("create", "-f", "-", stdin=json.dumps(owned))
    plane.kubectl("delete", "configmap", "owner")
    wait_until(
        lambda: (
            "owned" not in plane.kubectl("get", "configmaps", "-o", "name")
        ),
        "the owned ConfigMap collected",
        timeout=180,
        interval=0.5,
    )


def test_the_api_server_comes_back_on_its_port_with_its_data_and_a_forgotten_history(
    plane: ControlPlane,
) -> None:
    plane.kubectl("create", "configmap", "kept")
    version = json.loads(
        plane.kubectl("get", "--raw", "/api/v1/namespaces/default/configmaps")
    )["metadata"]
    plane.kubectl("create", "configmap", "later")
    plane.kubectl("delete", "configmap", "later")
    address = plane.url

    plane.stop_api_server()
    assert not plane.is_ready()
    plane.compact()
    plane.start_api_server()

    assert plane.url == address
    assert "configmap/kept" in plane.kubectl("get", "configmaps", "-o", "name")
    resumed = f"/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={version['resourceVersion']}"
    event = json.loads(
        plane.kubectl("get", "--raw", f"{resumed}&timeoutSeconds=60")
    )
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_nothing_outlives_a_killed_owner(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib, time\n"
        "from controlplane.server import ControlPlane\n"
        "plane = ControlPlane(pathlib.Path(sys.argv[1])).start()\n"
        "print(plane.url, plane.etcd_url, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=ROOT / "hack", stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        api_server, etcd = owner.stdout.readline().split()
        assert listens(etcd)
        owner.kill()
    wait_until(lambda: not listens(etcd), "etcd gone", timeout=120)
    wait_until(
        lambda: not listens(api_server), "kube-apiserver gone", timeout=120
    )


def listens(url: str) -> bool:
    """Whether somebody accepts connections at that address."""
    address = urllib.parse.urlsplit(url)
    try:
        with socket.create_connection(
            (address.hostname or "", address.port or 0), timeout=60
        ):
            return True
    except (
        ConnectionRefusedError,
        ConnectionResetError,
    ):  # reset: it died while it was asked
        return False

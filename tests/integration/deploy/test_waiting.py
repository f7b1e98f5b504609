"""Every waiter says the same of every reason: kstatus, `kubectl wait` and Argo CD, of objects on a real API server."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass

import pytest
import yaml

from argocd.files import FOLDER
from argocd.objects import in_state, manifest
from cerebro.resources.kinds import KINDS
from cerebro.resources.verdicts import VERDICTS, Health, Verdict
from controlplane.server import ControlPlane
from integration.deploy.argocd_judge import Manifest, Question, asked
from integration.deploy.kstatus_judge import computed

pytestmark = pytest.mark.timeout(
    2400
)  # kstatus' and Argo CD's code is built once

CONDITIONS = ("Ready", "Reconciling", "Stalled")
RESOURCES = ",".join(kind.plural for kind in KINDS.values())
MET = re.compile(
    r"^(\S+)\.relay\.cerebro\.dev/(\S+) condition met$", re.MULTILINE
)
UNMET = re.compile(r"^.*condition not met for .*$", re.MULTILINE)

AT_ONCE = 25
"""Objects of one `kubectl wait`: it makes ten requests at once, then five in a second."""


@dataclass(frozen=True)
class Words:
    """What the waiters say of an object."""

    kstatus: str
    argo_cd: Health
    met: frozenset[str]
    """The conditions for which `kubectl wait` waits no longer."""


EXPECTED: dict[Health, Words] = {
    "Healthy": Words("Current", "Healthy", frozenset({"Ready"})),
    "Progressing": Words(
        "InProgress", "Progressing", frozenset({"Reconciling"})
    ),
    "Suspended": Words("InProgress", "Suspended", frozenset()),
    "Degraded": Words("Failed", "Degraded", frozenset({"Stalled"})),
}
UNSEEN = Words("InProgress", "Progressing", frozenset())
"""Of what nobody has looked at."""

CHANGES: dict[str, Manifest] = {
    "Hub": {"listenPort": 51821},
    "Peer": {"persistentKeepalive": 25},
    "Device": {"paused": "All"},
    "Session": {"revoked": True},
}
"""A change of the spec; a DeviceCommand takes none."""

LIST = {"apiVersion": "v1", "kind": "List"}

Key = tuple[str, str]
"""Kind in lower case, and name."""


def key_of(content: Manifest) -> Key:
    return content["kind"].lower(), content["metadata"]["name"]


def named(content: Manifest, name: str) -> Manifest:
    """The object as a person makes it, with its status beside."""
    metadata = {"name": name}
    status = content.get("status")
    if status is None:
        return {**content, "metadata": metadata}

    # A new object is of generation 1.
    conditions = [
        {**condition, "observedGeneration": 1}
        for condition in status["conditions"]
    ]
    status = {**status, "observedGeneration": 1, "conditions": conditions}

    return {**content, "metadata": metadata, "status": status}


def put(
    plane: ControlPlane, namespace: str, objects: list[Manifest], *flags: str
) -> None:
    plane.kubectl(
        *("apply", "--server-side", "-n", namespace, "--validate=strict"),
        *(*flags, "-f", "-"),
        stdin=json.dumps({**LIST, "items": objects}),
    )


def waited(
    plane: ControlPlane, namespace: str, keys: list[Key]
) -> dict[Key, set[str]]:
    """For which conditions `kubectl wait` ends at once, by object."""
    names = [f"{kind}.relay.cerebro.dev/{name}" for kind, name in keys]
    parts = [
        names[start : start + AT_ONCE]
        for start in range(0, len(names), AT_ONCE)
    ]
    running = [
        (condition, waiting(plane, namespace, condition, part))
        for condition in CONDITIONS
        for part in parts
    ]

    met: dict[Key, set[str]] = {}
    for condition, process in running:
        output, errors = process.communicate(timeout=120)
        assert UNMET.sub("", errors).strip() == ""
        for kind, name in MET.findall(output):
            met.setdefault((kind, name), set()).add(condition)

    return met


def waiting(
    plane: ControlPlane, namespace: str, condition: str, names: list[str]
) -> subprocess.Popen[str]:
    """A `kubectl wait` for a condition of these objects, which looks once."""
    return subprocess.Popen(
        [
            *(str(plane.programs.kubectl), "--kubeconfig"),
            *(str(plane.kubeconfig), "wait", *names, "-n", namespace),
            *(f"--for=condition={condition}", "--timeout=0s"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def judged(plane: ControlPlane, namespace: str) -> dict[Key, Words]:
    """What all waiters say of each object in the namespace."""
    text = plane.kubectl("get", RESOURCES, "-n", namespace, "-o", "json")
    objects: list[Manifest] = json.loads(text)["items"]
    scripts = yaml.safe_load((FOLDER / "argocd-cm.yaml").read_text())["data"]

    keys = [key_of(each) for each in objects]
    met = waited(plane, namespace, keys)
    answers = asked(scripts, [Question("health", each) for each in objects])
    words: dict[Key, Words] = {}
    for key, kstatus, answer in zip(
        keys, computed(objects), answers, strict=True
    ):
        assert answer.error == ""
        words[key] = Words(
            kstatus,
            answer.result["status"],
            frozenset(met.get(key, set())),
        )

    return words


def test_all_waiters_say_the_same_of_every_reason(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Also of what is new, of what has changed since, and of a status of a release without the field."""
    rows: dict[Key, Verdict] = {
        (verdict.kind.lower(), f"row-{number}"): verdict
        for number, verdict in enumerate(VERDICTS)
    }
    objects = [
        named(in_state(verdict), name) for (_, name), verdict in rows.items()
    ]
    new = [named(manifest(kind), "new") for kind in KINDS]
    done = {
        verdict.kind: verdict
        for verdict in reversed(VERDICTS)
        if verdict.health == "Healthy"
    }
    changed = [named(in_state(done[kind]), "changed") for kind in CHANGES]
    older = [named(in_state(done[kind]), "older") for kind in KINDS]
    for content in older:
        del content["status"]["observedGeneration"]

    seen = [*objects, *changed, *older]
    put(control_plane, namespace, [*map(without_status, seen), *new])
    put(control_plane, namespace, seen, "--subresource=status")
    put(control_plane, namespace, list(map(with_change, changed)))

    words = judged(control_plane, namespace)

    expected = {key: EXPECTED[rows[key].health] for key in rows}
    expected |= {(kind.lower(), "new"): UNSEEN for kind in KINDS}
    expected |= {(kind.lower(), "changed"): UNSEEN for kind in CHANGES}
    assert without_older(words) == expected
    assert {words[(kind.lower(), "older")].kstatus for kind in KINDS} == {
        "InProgress"
    }


def with_change(content: Manifest) -> Manifest:
    """The object with another spec."""
    spec = content["spec"] | CHANGES[content["kind"]]

    return {**without_status(content), "spec": spec}


def without_older(words: dict[Key, Words]) -> dict[Key, Words]:
    """What is said of all but the objects of an older release.

    `kubectl wait` believes the generation in a condition, which they have.
    """
    return {key: value for key, value in words.items() if key[1] != "older"}


def without_status(content: Manifest) -> Manifest:
    return {name: value for name, value in content.items() if name != "status"}

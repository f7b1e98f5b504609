"""Test data of the actions, in Argo CD's own form. Pure."""

from pathlib import Path
from typing import Any

from argocd.objects import Manifest, in_state, manifest
from cerebro.resources.verdicts import Verdict

RESYNC_AT = "relay.cerebro.dev/resync-at"
CONFIRM_REMOVAL = "relay.cerebro.dev/confirm-removal"
FORCE_FINALIZE = "relay.cerebro.dev/force-finalize"
NO_NUMBER = "number: write how many may go, as the message of MassRemoval says"
AT = "2030-01-31T12:00:00Z"
"""Stands in expected output for the time at which an action ran."""

_FINALIZERS = {
    "Hub": "relay.cerebro.dev/cleanup",
    "Device": "relay.cerebro.dev/cleanup",
    "Peer": "relay.cerebro.dev/interface",
}


def action_tests(kind: str) -> dict[Path, Any]:
    """Return what the files of a kind hold, by their path in its folder; none
    if the kind has no actions.
    """
    if kind == "DeviceCommand":
        return {}

    if kind == "Session":
        return _session_tests()

    return _tests_of_deletion(kind, with_others=kind != "Peer")


def _session_tests() -> dict[Path, Any]:
    live = manifest("Session")
    revoked = manifest("Session")
    revoked["spec"]["revoked"] = True
    restored = manifest("Session")
    restored["spec"]["revoked"] = False

    return _files(
        {"live": live, "revoked": revoked, "restored": restored},
        {
            "live": [_enabled("revoke"), _disabled("restore")],
            "revoked": [_disabled("revoke"), _enabled("restore")],
        },
        [
            _action("revoke", "live", "revoked"),
            _action("restore", "revoked", "restored"),
        ],
    )


def _tests_of_deletion(kind: str, *, with_others: bool) -> dict[Path, Any]:
    """Return the tests of a kind with a finalizer; `with_others` for one that
    is resynced and has mass removals too.
    """
    live = manifest(kind)
    live["metadata"]["finalizers"] = [_FINALIZERS[kind]]
    deleted = manifest(kind)
    deleted["metadata"]["finalizers"] = [_FINALIZERS[kind]]
    deleted["metadata"]["deletionTimestamp"] = AT
    foreign = manifest(kind)
    foreign["metadata"]["finalizers"] = ["example.com/another"]
    foreign["metadata"]["deletionTimestamp"] = AT

    objects = {
        "live": live,
        "deleted": deleted,
        "another-finalizer": foreign,
        "forced": _annotated(deleted, FORCE_FINALIZE, "true"),
    }
    before: list[Manifest] = []
    if with_others:
        before = [_enabled("resync"), *_confirmations(held_back=False)]

    discoveries = {
        "live": [*before, _disabled("force-deletion")],
        "deleted": [*before, _enabled("force-deletion")],
        "another-finalizer": [*before, _disabled("force-deletion")],
    }
    actions = [_action("force-deletion", "deleted", "forced")]
    if with_others:
        held, confirmed = _held_back(kind), _confirmed(kind)
        objects |= {
            "resynced": _annotated(live, RESYNC_AT, AT),
            "mass-removal": held,
            "confirmed": confirmed,
            "forgotten": {
                **confirmed,
                "metadata": {**confirmed["metadata"], "annotations": {}},
            },
        }
        discoveries |= {
            "mass-removal": [
                _enabled("resync"),
                *_confirmations(held_back=True),
                _disabled("force-deletion"),
            ],
            "confirmed": [
                _enabled("resync"),
                *_confirmations(held_back=True, confirmed=True),
                _disabled("force-deletion"),
            ],
        }
        actions += [
            _action("resync", "live", "resynced"),
            {
                **_action("confirm-removal", "mass-removal", "confirmed"),
                "parameters": {"number": "40"},
            },
            *_refusals(),
            _action("forget-confirmation", "confirmed", "forgotten"),
        ]

    return _files(objects, discoveries, actions)


def _held_back(kind: str) -> Manifest:
    return in_state(Verdict(kind, "MassRemoval", "Degraded"))


def _confirmed(kind: str) -> Manifest:
    return _annotated(_held_back(kind), CONFIRM_REMOVAL, "40")


def _refusals() -> list[Manifest]:
    """Return the tests of numbers that are none."""
    return [
        {
            "action": "confirm-removal",
            "inputPath": "testdata/mass-removal.yaml",
            "expectedErrorMessage": NO_NUMBER,
            "parameters": {"number": number},
        }
        for number in ("all", "", "0", "-3", "4.5", "100000000")
    ]


def _annotated(content: Manifest, name: str, value: str) -> Manifest:
    metadata = {**content["metadata"], "annotations": {name: value}}
    return {**content, "metadata": metadata}


def _enabled(name: str) -> Manifest:
    return {"name": name, "disabled": False}


def _disabled(name: str) -> Manifest:
    return {"name": name, "disabled": True}


def _confirmations(
    *, held_back: bool, confirmed: bool = False
) -> list[Manifest]:
    return [
        {
            "name": "confirm-removal",
            "disabled": not held_back,
            "params": [{"name": "number"}],
        },
        {"name": "forget-confirmation", "disabled": not confirmed},
    ]


def _action(name: str, given: str, expected: str) -> Manifest:
    return {
        "action": name,
        "inputPath": f"testdata/{given}.yaml",
        "expectedOutputPath": f"testdata/{expected}.yaml",
    }


def _files(
    objects: dict[str, Manifest],
    discoveries: dict[str, list[Manifest]],
    actions: list[Manifest],
) -> dict[Path, Any]:
    found = [
        {"inputPath": f"testdata/{name}.yaml", "result": result}
        for name, result in discoveries.items()
    ]
    folder = Path("actions")
    return {
        **{
            folder / "testdata" / f"{name}.yaml": content
            for name, content in objects.items()
        },
        folder / "action_test.yaml": {
            "discoveryTests": found,
            "actionTests": actions,
        },
    }

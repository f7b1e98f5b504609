"""What an older CRD does not declare is left out of what is applied."""

from __future__ import annotations

from typing import Any

import pytest

from cerebro.kube.client import undeclared
from cerebro.kube.client.undeclared import UndeclaredFields

REFUSAL = (
    "patch Device ns/r1 status: 500 failed to create typed patch object (ns/r1; relay.cerebro.dev/v1alpha1, "
    "Kind=Device): {}"
)
ONE = REFUSAL.format(
    ".status.observedGeneration: field not declared in schema"
)
SEVERAL = REFUSAL.format(
    "errors:\n  .status.observedGeneration: field not declared in schema\n"
    "  .status.circuit.why: field not declared in schema"
)
IN_A_LIST = REFUSAL.format(
    '.status.conditions[type="Ready"].colour: field not declared in schema'
)
MANIFEST: dict[str, Any] = {
    "metadata": {"uid": "u"},
    "status": {
        "observedGeneration": 2,
        "circuit": {"state": "Open", "why": "it"},
        "conditions": [],
    },
}


def test_what_was_refused_is_left_out_of_that_kind_alone() -> None:
    fields = UndeclaredFields()
    assert fields.without("Device", MANIFEST) == MANIFEST

    assert fields.learn("Device", SEVERAL, MANIFEST)

    assert fields.without("Device", MANIFEST) == {
        "metadata": {"uid": "u"},
        "status": {"circuit": {"state": "Open"}, "conditions": []},
    }
    assert fields.without("Hub", MANIFEST) == MANIFEST


@pytest.mark.parametrize("refusal", [IN_A_LIST, "patch Device: 500 etcd"])
def test_other_refusals_are_the_callers(refusal: str) -> None:
    fields = UndeclaredFields()

    assert not fields.learn("Device", refusal, MANIFEST)
    assert fields.without("Device", MANIFEST) == MANIFEST


def test_what_was_not_sent_is_not_sent_again_with_less() -> None:
    """Else a server that refuses without end would be asked without end."""
    fields = UndeclaredFields()
    assert fields.learn("Device", ONE, MANIFEST)

    less = fields.without("Device", MANIFEST)

    assert not fields.learn("Device", ONE, less)


def test_a_field_is_tried_again_once_the_crd_may_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fields = UndeclaredFields()
    monkeypatch.setattr(undeclared, "_KEPT", 0.0)

    assert fields.learn("Device", ONE, MANIFEST)

    assert fields.without("Device", MANIFEST) == MANIFEST

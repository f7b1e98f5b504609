"""When an object is let go: the agent's word for the object as it is, or one of the ways around it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.controllers.finalizers import Decision, Why, decide
from cerebro.resources import KINDS, Device, Hub, Peer

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LIMIT = timedelta(hours=1)
OURS = {
    "Peer": "relay.cerebro.dev/interface",
    "Device": "relay.cerebro.dev/cleanup",
    "Hub": "relay.cerebro.dev/cleanup",
}
SPECS: dict[str, dict[str, Any]] = {
    "Peer": {"hubRef": {"name": "hub"}, "publicKey": "A" * 42 + "A="},
    "Device": {
        "hubRef": {"name": "hub"},
        "api": {"credentialsSecretRef": {"name": "c"}},
        "deletionPolicy": "Cleanup",
    },
    "Hub": {"addresses": ["10.0.0.1/24"], "deletionPolicy": "Cleanup"},
}


def make(
    kind: str, *, going: timedelta | None = None, said: dict[str, Any] | None = None, **more: Any
) -> Peer | Device | Hub:
    meta: dict[str, Any] = {
        "name": "x",
        "namespace": "ns",
        "uid": "u",
        "generation": 3,
        "resourceVersion": "1",
    }
    if going is not None:
        meta |= {"deletionTimestamp": (NOW - going).isoformat(), "finalizers": ["a/b", OURS[kind], "c/d"]}
    meta |= more.pop("metadata", {})
    status = {"conditions": [said]} if said else {}
    model = KINDS[kind].model.model_validate(
        {"kind": kind, "metadata": meta, "spec": SPECS[kind] | more, "status": status}
    )
    assert isinstance(model, Peer | Device | Hub)
    return model


def judge(item: Peer | Device | Hub, *, hub_gone: bool = False) -> Decision:
    return decide(item, hub_gone=hub_gone, now=NOW, limit=LIMIT)


def word(type_: str, reason: str, generation: int | None = 3, status: str = "False") -> dict[str, Any]:
    said = {"type": type_, "status": status, "reason": reason, "message": ""}
    return said if generation is None else {**said, "observedGeneration": generation}


ALL = pytest.mark.parametrize("kind", ["Peer", "Device", "Hub"])


@ALL
def test_finalizer_is_put_on_once_and_others_stay(kind: str) -> None:
    assert judge(make(kind, metadata={"finalizers": ["a/b"]})) == Decision(finalizers=("a/b", OURS[kind]))
    assert judge(make(kind, metadata={"finalizers": [OURS[kind]]})) == Decision()


@pytest.mark.parametrize("kind", ["Device", "Hub"])
def test_retain_has_none(kind: str) -> None:
    assert judge(make(kind, deletionPolicy="Retain")) == Decision()
    again = make(kind, deletionPolicy="Retain", metadata={"finalizers": [OURS[kind], "a/b"]})
    assert judge(again) == Decision(finalizers=("a/b",), why=Why.NOT_WANTED)
    going = make(kind, deletionPolicy="Retain", going=timedelta(seconds=1))
    assert judge(going) == Decision(finalizers=("a/b", "c/d"), why=Why.NOT_WANTED)


@ALL
def test_e6_only_the_agents_word_of_the_object_as_it_is_lets_go(kind: str) -> None:
    type_, reason = ("Applied", "Removed") if kind == "Peer" else ("Ready", "CleanedUp")
    due = Decision(due=NOW - timedelta(minutes=1) + LIMIT)
    going = timedelta(minutes=1)
    assert judge(make(kind, going=going)) == due
    for wrong in (
        word(type_, reason, 2),
        word(type_, reason, None),
        word(type_, "Changing"),
        word(type_, reason, status="True"),
        word("Accepted", reason),
    ):
        assert judge(make(kind, going=going, said=wrong)) == due
    done = judge(make(kind, going=going, said=word(type_, reason)))
    assert done == Decision(finalizers=("a/b", "c/d"), why=Why.REPORTED)


@ALL
def test_ways_around_an_agent_that_is_away(kind: str) -> None:
    force = "relay.cerebro.dev/force-finalize"
    short = timedelta(minutes=1)
    assert judge(make(kind, going=short, metadata={"annotations": {force: "true"}})).why is Why.FORCED
    assert judge(make(kind, going=short, metadata={"annotations": {force: "yes"}})).why is None
    assert (
        judge(make(kind, metadata={"annotations": {force: "true"}, "finalizers": [OURS[kind]]})) == Decision()
    )
    assert judge(make(kind, going=short), hub_gone=True).why is Why.HUB_GONE
    assert judge(make(kind, going=LIMIT - timedelta(seconds=1))).why is None
    assert judge(make(kind, going=LIMIT)).why is Why.TIME_LIMIT


@ALL
def test_what_is_going_without_ours_is_left_alone(kind: str) -> None:
    assert judge(make(kind, going=LIMIT * 2, metadata={"finalizers": ["a/b"]})) == Decision()

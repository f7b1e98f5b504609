"""When an object is let go: the agent's word for the object as it is, or one of the ways around it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cerebro.kube.cache.store import Store
from cerebro.operator.finalizers.plan import (
    Cause,
    Decision,
    Subject,
    decide,
    subject_of,
)
from cerebro.resources import KINDS

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
    kind: str,
    *,
    going: timedelta | None = None,
    said: dict[str, Any] | None = None,
    believed: bool = True,
    **more: Any,
) -> Subject:
    meta: dict[str, Any] = {
        "name": "x",
        "namespace": "ns",
        "uid": "u",
        "generation": 3,
        "resourceVersion": "1",
    }
    if going is not None:
        meta |= {
            "deletionTimestamp": (NOW - going).isoformat(),
            "finalizers": ["a/b", OURS[kind], "c/d"],
        }
    meta |= more.pop("metadata", {})
    status = {"conditions": [said]} if said else {}
    store = Store()
    store.believe(KINDS[kind], "ns", ["u"] if believed else [])
    store.deliver(
        KINDS[kind],
        "ADDED",
        {
            "kind": kind,
            "metadata": meta,
            "spec": SPECS[kind] | more,
            "status": status,
        },
    )
    stored = store.get(KINDS[kind], "ns", "x")
    assert stored is not None
    return subject_of(stored)


def judge(item: Subject, *, hub_gone: bool = False) -> Decision:
    return decide(item, hub_gone=hub_gone, now=NOW, limit=LIMIT)


def word(
    type_: str, reason: str, generation: int | None = 3, status: str = "False"
) -> dict[str, Any]:
    said = {"type": type_, "status": status, "reason": reason, "message": ""}
    return (
        said
        if generation is None
        else {**said, "observedGeneration": generation}
    )


ALL = pytest.mark.parametrize("kind", ["Peer", "Device", "Hub"])


@ALL
def test_finalizer_is_put_on_once_and_others_stay(kind: str) -> None:
    assert judge(make(kind, metadata={"finalizers": ["a/b"]})) == Decision(
        finalizers=("a/b", OURS[kind])
    )
    assert (
        judge(make(kind, metadata={"finalizers": [OURS[kind]]})) == Decision()
    )


@pytest.mark.parametrize("kind", ["Device", "Hub"])
def test_retain_has_none(kind: str) -> None:
    assert judge(make(kind, deletionPolicy="Retain")) == Decision()
    again = make(
        kind,
        deletionPolicy="Retain",
        metadata={"finalizers": [OURS[kind], "a/b"]},
    )
    assert judge(again) == Decision(
        finalizers=("a/b",), cause=Cause.NOT_WANTED
    )
    going = make(kind, deletionPolicy="Retain", going=timedelta(seconds=1))
    assert judge(going) == Decision(
        finalizers=("a/b", "c/d"), cause=Cause.NOT_WANTED
    )


@ALL
def test_e6_only_the_agents_word_of_the_object_as_it_is_lets_go(
    kind: str,
) -> None:
    type_, reason = (
        ("Applied", "Removed") if kind == "Peer" else ("Ready", "CleanedUp")
    )
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
    assert done == Decision(finalizers=("a/b", "c/d"), cause=Cause.REPORTED)


@ALL
def test_ways_around_an_agent_that_is_away(kind: str) -> None:
    force = "relay.cerebro.dev/force-finalize"
    short = timedelta(minutes=1)
    assert (
        judge(
            make(kind, going=short, metadata={"annotations": {force: "true"}})
        ).cause
        is Cause.FORCED
    )
    assert (
        judge(
            make(kind, going=short, metadata={"annotations": {force: "yes"}})
        ).cause
        is None
    )
    assert (
        judge(
            make(
                kind,
                metadata={
                    "annotations": {force: "true"},
                    "finalizers": [OURS[kind]],
                },
            )
        )
        == Decision()
    )
    assert (
        judge(make(kind, going=short), hub_gone=True).cause is Cause.HUB_GONE
    )
    assert judge(make(kind, going=LIMIT - timedelta(seconds=1))).cause is None
    assert judge(make(kind, going=LIMIT)).cause is Cause.TIME_LIMIT


@ALL
def test_what_is_going_without_ours_is_left_alone(kind: str) -> None:
    assert (
        judge(make(kind, going=LIMIT * 2, metadata={"finalizers": ["a/b"]}))
        == Decision()
    )


UNREADABLE: dict[str, dict[str, Any]] = {
    "Peer": {"allowedIPs": 7},
    "Device": {"deletionPolicy": "Newer"},
    "Hub": {"deletionPolicy": "Newer"},
}


@ALL
def test_b9_what_our_models_cannot_read_is_let_go_by_annotation_hub_or_time_limit_only(
    kind: str,
) -> None:
    spec, short = UNREADABLE[kind], timedelta(minutes=1)
    assert judge(make(kind, **spec)) == Decision()
    assert (
        judge(make(kind, metadata={"finalizers": [OURS[kind]]}, **spec))
        == Decision()
    )
    assert judge(make(kind, going=short, **spec)) == Decision(
        due=NOW - short + LIMIT
    )
    type_, reason = (
        ("Applied", "Removed") if kind == "Peer" else ("Ready", "CleanedUp")
    )
    assert (
        judge(make(kind, going=short, said=word(type_, reason), **spec)).cause
        is None
    )
    forced = make(
        kind,
        going=short,
        metadata={"annotations": {"relay.cerebro.dev/force-finalize": "true"}},
        **spec,
    )
    assert judge(forced) == Decision(
        finalizers=("a/b", "c/d"), cause=Cause.FORCED
    )
    assert (
        judge(make(kind, going=short, **spec), hub_gone=True).cause
        is Cause.HUB_GONE
    )
    assert judge(make(kind, going=LIMIT, **spec)).cause is Cause.TIME_LIMIT


@pytest.mark.parametrize(
    "spec", [{"allowedIPs": 7}, {"hubRef": "hub"}, {"hubRef": {"name": 7}}]
)
def test_b9_hub_of_what_cannot_be_read_is_known_where_it_is_legible(
    spec: dict[str, Any],
) -> None:
    assert make("Peer", **spec).hub == (
        "hub" if "allowedIPs" in spec else None
    )


@ALL
def test_e13_what_goes_with_its_crd_or_namespace_is_let_go_without_clean_up(
    kind: str,
) -> None:
    """Nobody else sees that it goes, so nobody reports; and it gets no finalizer, which would be refused."""
    short = timedelta(minutes=1)
    assert judge(make(kind, going=short, believed=False)) == Decision(
        due=NOW - short + LIMIT
    )
    assert (
        judge(
            make(
                kind,
                going=short,
                believed=False,
                metadata={"finalizers": ["a/b"]},
            )
        )
        == Decision()
    )
    assert (
        judge(make(kind, going=LIMIT, believed=False)).cause
        is Cause.TIME_LIMIT
    )
    force = {"annotations": {"relay.cerebro.dev/force-finalize": "true"}}
    assert (
        judge(make(kind, going=short, believed=False, metadata=force)).cause
        is Cause.FORCED
    )

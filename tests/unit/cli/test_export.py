"""What an export keeps of a Device and what it leaves out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from cerebro.cli.export import document, wants_access
from cerebro.domain.lifecycle import GrantWindows, RouterObservation, judge
from cerebro.resources import Hub, Session, format_time

NOW = datetime(2026, 6, 11, 12, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
ROUTER_AWAY = RouterObservation(NOW)


def device(
    name: str = "r1", *, address: str | None = None, **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Device",
        "metadata": {
            "name": name,
            "namespace": "wifi",
            "uid": "u",
            "resourceVersion": "5",
            "generation": 3,
            "managedFields": [{"manager": "x"}],
            "finalizers": ["relay.cerebro.dev/cleanup"],
            "labels": {"app.kubernetes.io/managed-by": "cerebro-bridge"},
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "relay.cerebro.dev/resync-at": "now",
                "example.net/owner": "José",
            },
        },
        "spec": {
            "api": {"credentialsSecretRef": {"name": f"{name}-router"}},
            **spec,
        },
        "status": {"tunnelAddress": address} if address else {},
    }


def test_e9_the_allocated_address_is_pinned_and_nothing_of_the_moment_is_kept() -> (
    None
):
    hub = {"name": "hub-1"}
    (found,) = yaml.safe_load_all(
        document(
            [device(address="10.8.0.7", hubRef=hub, fieldOfTomorrow=["x"])]
        )
    )
    assert found == {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Device",
        "metadata": {
            "name": "r1",
            "namespace": "wifi",
            "labels": {"app.kubernetes.io/managed-by": "cerebro-bridge"},
            "annotations": {"example.net/owner": "José"},
        },
        "spec": {
            "api": {"credentialsSecretRef": {"name": "r1-router"}},
            "hubRef": hub,
            "fieldOfTomorrow": ["x"],
            "tunnelAddress": "10.8.0.7",
        },
    }


def test_an_address_pinned_already_stays_and_a_device_without_a_hub_gets_none() -> (
    None
):
    pinned = device(
        address="10.8.0.7", hubRef={"name": "h"}, tunnelAddress="10.8.0.9"
    )
    direct = device("r2", address="10.8.0.8")
    first, second = yaml.safe_load_all(document([pinned, direct]))
    assert first["spec"]["tunnelAddress"] == "10.8.0.9"
    assert "tunnelAddress" not in second["spec"]


def test_the_comment_names_what_is_needed_besides() -> None:
    user = {"passwordSecretRef": {"name": "tech"}}
    text = document(
        [device(hubRef={"name": "hub-9"}, technicalUser=user, commands="Off")]
    )
    assert "#   Hubs: hub-9\n#   Secrets: r1-router, tech\n" in text
    assert "'Off'" in text, "without quotes YAML would read it as false"


@pytest.mark.parametrize(
    "text", ["n", "Y", "12e5", "-1E+3", "1.", ".5e3", "0o17", "0X1F", "1_0e5"]
)
def test_what_kubectl_would_take_for_another_type_has_quotes(
    text: str,
) -> None:
    """Its YAML is Go's, which knows more numbers and bools than PyYAML."""
    assert f"routerID: '{text}'\n" in document([device(routerID=text)])


@pytest.mark.parametrize("text", ["10.8.0.7", "1h30m", "node-1", "12e5x"])
def test_other_texts_have_no_quotes(text: str) -> None:
    assert f"routerID: {text}\n" in document([device(routerID=text)])


def test_numbers_and_bools_stay_what_they_are() -> None:
    spec: dict[str, Any] = {"port": 8728, "dryRun": True, "share": 1.5}

    (manifest,) = yaml.safe_load_all(document([device(**spec)]))

    assert spec.items() <= manifest["spec"].items()


def test_no_devices_is_an_empty_document() -> None:
    assert list(yaml.safe_load_all(document([]))) == []


def session(
    name: str = "s1", *, generation: int = 1, **status: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Session",
        "metadata": {
            "name": name,
            "namespace": "wifi",
            "uid": "u",
            "generation": generation,
            "annotations": {"relay.cerebro.dev/trace-id": "t"},
        },
        "spec": {"deviceRef": {"name": "r1"}, "duration": "1h"},
        "status": status,
    }


def test_e9_access_that_a_duration_gave_has_its_end() -> None:
    given = session(expiresAt="2030-01-01T12:00:00Z", observedGeneration=1)
    waiting = session("s2")

    first, second = yaml.safe_load_all(document([], [given, waiting]))

    assert first["spec"]["expiresAt"] == "2030-01-01T12:00:00Z"
    assert "duration" not in first["spec"]
    assert first["metadata"]["annotations"] == {
        "relay.cerebro.dev/trace-id": "t"
    }
    assert second["spec"]["duration"] == "1h"
    assert "expiresAt" not in second["spec"]


def test_what_others_name_comes_first() -> None:
    hub = {
        **device("h1"),
        "kind": "Hub",
        "spec": {"addresses": ["10.8.0.1/16"]},
    }

    text = document([device(hubRef={"name": "h1"})], [session(), hub])

    kinds = [body["kind"] for body in yaml.safe_load_all(text)]
    assert kinds == ["Hub", "Device", "Session"]
    assert "#   Hubs: none\n#   Secrets: h1-wireguard, r1-router\n" in text


def test_a_session_that_is_over_wants_nothing() -> None:
    assert wants_access(session(phase="Active", observedGeneration=1))
    assert wants_access(session(phase="Revoked", observedGeneration=1))
    assert not wants_access(session(finished=True, observedGeneration=1))
    assert not wants_access(session(phase="Failed", observedGeneration=1))
    changed = session(generation=2, finished=True, observedGeneration=1)
    assert wants_access(changed)


def restored(body: dict[str, Any], **changed: Any) -> Session:
    """Return the Session that the export of one makes in an empty cluster, with what is changed in its spec then."""
    (manifest,) = yaml.safe_load_all(document([], [body]))
    manifest["metadata"] |= {
        "uid": "new",
        "generation": 1,
        "creationTimestamp": format_time(NOW),
    }
    manifest["spec"] |= changed

    return Session.model_validate(manifest)


def granted_long_ago(**spec: Any) -> dict[str, Any]:
    """Return a Session that was granted ten days ago, and whose deadline was a day later at most."""
    granted = format_time(NOW - 10 * DAY)
    body = session(phase="Active", observedGeneration=1, authorizedAt=granted)
    body["spec"] = {
        "deviceRef": {"name": "r1"},
        "client": {"macAddress": "AA:00:00:00:00:01"},
        "grantBefore": format_time(NOW - 9 * DAY),
        **spec,
    }

    return body


@pytest.mark.parametrize("kind", ["Paid", "Trial"])
@pytest.mark.parametrize("end", [None, NOW + 3 * DAY])
@pytest.mark.parametrize("has_deadline", [True, False])
def test_e9_granted_access_comes_back_also_while_its_router_is_away(
    kind: str, end: datetime | None, has_deadline: bool
) -> None:
    body = granted_long_ago(type=kind)
    if end is not None:
        body["spec"]["expiresAt"] = format_time(end)

    if not has_deadline:  # a person made it: the window of its type counts
        del body["spec"]["grantBefore"]

    back = restored(body)
    late = RouterObservation(NOW + 2 * DAY)

    for seen in (ROUTER_AWAY, late):
        verdict = judge(back, seen, GrantWindows())
        assert verdict.phase is None, verdict
        assert verdict.end == end


def test_e9_granted_access_that_is_prolonged_while_its_router_is_away_stays() -> (
    None
):
    body = granted_long_ago(expiresAt=format_time(NOW + HOUR))
    back = restored(body, expiresAt=format_time(NOW + 5 * HOUR))

    between = RouterObservation(NOW + 2 * HOUR)
    assert judge(back, between, GrantWindows()).phase is None

    after = RouterObservation(NOW + 5 * HOUR)
    assert judge(back, after, GrantWindows()).phase == "Expired"


@pytest.mark.parametrize("kind", ["Paid", "Trial"])
def test_a5_a_session_that_was_never_granted_keeps_its_deadline(
    kind: str,
) -> None:
    deadline = NOW + HOUR
    body = granted_long_ago(type=kind, grantBefore=format_time(deadline))
    body["status"] = {"phase": "Pending", "observedGeneration": 1}

    back = restored(body)

    assert back.spec.grant_before == deadline
    assert judge(back, ROUTER_AWAY, GrantWindows()).phase is None

    verdict = judge(back, RouterObservation(deadline), GrantWindows())
    assert (verdict.phase, verdict.reason) == ("Failed", "NeverGranted")


def test_a11_an_end_of_an_older_spec_is_counted_anew_from_the_grant() -> None:
    """Its duration was raised from one hour to three, while the agent was away."""
    raised = session(
        generation=2,
        observedGeneration=1,
        phase="Active",
        authorizedAt="2026-06-11T11:00:00Z",
        expiresAt="2026-06-11T12:00:00Z",
    )
    raised["spec"]["duration"] = "3h"

    (manifest,) = yaml.safe_load_all(document([], [raised]))

    assert manifest["spec"]["expiresAt"] == "2026-06-11T14:00:00Z"
    assert "duration" not in manifest["spec"]


def test_a1_a_longer_duration_opens_nothing_that_expired() -> None:
    expired = session(
        generation=2,
        observedGeneration=1,
        phase="Expired",
        authorizedAt="2026-06-11T10:00:00Z",
        expiresAt="2026-06-11T11:00:00Z",
    )
    expired["spec"] |= {
        "duration": "3h",
        "client": {"macAddress": "AA:00:00:00:00:01"},
    }

    back = restored(expired)

    assert judge(back, ROUTER_AWAY, GrantWindows()).phase == "Expired"


@pytest.mark.parametrize(
    "status",
    [
        {"authorizedAt": "tomorrow"},
        {"authorizedAt": 7},
        {"expiresAt": "2026-06-11T12:00:00Z", "observedGeneration": 0},
    ],
)
def test_a_duration_whose_begin_is_not_known_stays(
    status: dict[str, Any],
) -> None:
    (manifest,) = yaml.safe_load_all(document([], [session(**status)]))

    assert manifest["spec"]["duration"] == "1h"
    assert "expiresAt" not in manifest["spec"]


def test_b9_objects_that_our_models_cannot_read_are_exported_as_they_are() -> (
    None
):
    hubs = [
        {
            **device(name),
            "kind": "Hub",
            "spec": {"implementation": "OfTomorrow", **reference},
        }
        for name, reference in (
            ("h1", {}),
            ("h2", {"privateKeySecretRef": {"name": "key"}}),
        )
    ]
    router = device(
        hubRef={"name": "h1"}, otherHub={"hubRef": "h9", "secretRef": None}
    )
    access = session(authorizedAt="2026-06-11T10:00:00Z")
    access["spec"] |= {"duration": "1 month", "type": "OfTomorrow"}

    with pytest.raises(ValidationError):
        Hub.model_validate(hubs[0])

    text = document([router], [*hubs, access])

    assert (
        "#   Hubs: none\n#   Secrets: h1-wireguard, key, r1-router\n" in text
    )

    specs = [body["spec"] for body in yaml.safe_load_all(text)]
    expected = [body["spec"] for body in (*hubs, router, access)]
    expected[-1]["grantBefore"] = "8999-12-31T23:59:59Z"
    assert specs == expected

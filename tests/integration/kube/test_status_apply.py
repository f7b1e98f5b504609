"""Two writers of one status, by turns, on the real API server: kstatus' conditions are always those of the last one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import AsyncMock

import pytest

from cerebro.domain.conditions import ConditionState, judgement, shown_abnormal
from cerebro.kube.client.api import KubeApi
from cerebro.kube.status_apply import apply_status
from cerebro.resources import HUB, Hub
from controlplane.proxy import FaultProxy

Agent = tuple[FaultProxy, KubeApi]

EQUAL = ConditionState("True", "Equal", "as wanted")
LOOKING = ConditionState("Unknown", "NotLookedYet", "not compared yet")
MISMATCH = ConditionState("False", "KeyMismatch", "two keys")
LOST = ConditionState("Unknown", "AgentLost", "the agent is silent")
BACK_SOON = ConditionState("Unknown", "AgentLost", "another one is silent")
PAUSED = ConditionState("False", "Paused", "spec.paused is All")


async def a_hub(admin: KubeApi, namespace: str) -> Hub:
    manifest = {
        "metadata": {"name": "main"},
        "spec": {"addresses": ["10.8.0.1/16"]},
    }
    return Hub.model_validate(await admin.create(HUB, namespace, manifest))


async def told(
    api: KubeApi, hub: Hub, manager: str, ready: ConditionState
) -> Hub:
    """The Hub once that manager has written its Ready."""
    judged = judgement(
        "Hub",
        hub.status.conditions,
        {"Ready": ready},
        hub.metadata.generation,
        datetime.now(UTC),
    )
    body = {"metadata": {"uid": hub.metadata.uid}, "status": judged}
    answer = await apply_status(
        api, HUB, hub.namespace, hub.name, body, field_manager=manager
    )

    return Hub.model_validate(answer)


@pytest.mark.parametrize(
    "turns",
    [
        [("agent", MISMATCH), ("operator", LOST), ("agent", EQUAL)],
        [("operator", LOST), ("agent", MISMATCH), ("agent", PAUSED)],
        [
            ("agent", LOOKING),
            ("operator", LOST),
            ("agent", LOOKING),
            ("agent", EQUAL),
            ("operator", BACK_SOON),
            ("operator", LOST),
            ("agent", MISMATCH),
        ],
    ],
)
async def test_e12_nothing_is_left_of_the_writer_before(
    admin: KubeApi,
    agent: Agent,
    namespace: str,
    turns: list[tuple[str, ConditionState]],
) -> None:
    hub = await a_hub(admin, namespace)
    apis = {"agent": agent[1], "operator": admin}
    abnormal = {
        LOOKING: {"Reconciling"},
        LOST: {"Reconciling"},
        BACK_SOON: {"Reconciling"},
        MISMATCH: {"Stalled"},
    }

    for manager, ready in turns:
        hub = await told(apis[manager], hub, manager, ready)

        shown = shown_abnormal(hub.status)
        assert shown.keys() == abnormal.get(ready, set())
        assert {state.reason for state in shown.values()} <= {ready.reason}
        assert hub.status.observed_generation == hub.metadata.generation


async def test_a_writer_alone_writes_once(
    admin: KubeApi,
    agent: Agent,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = await a_hub(admin, namespace)
    second_write = AsyncMock()
    monkeypatch.setattr(KubeApi, "patch", second_write)

    for ready in (LOOKING, MISMATCH, EQUAL, LOOKING, EQUAL):
        hub = await told(agent[1], hub, "agent", ready)

    assert hub.status.condition("Ready") is not None
    second_write.assert_not_awaited()


async def test_who_does_not_write_ready_takes_nothing_away(
    admin: KubeApi, agent: Agent, namespace: str
) -> None:
    hub = await told(
        admin, await a_hub(admin, namespace), "operator", MISMATCH
    )
    status: dict[str, Any] = {"nodeName": "vps-1"}
    body = {"metadata": {"uid": hub.metadata.uid}, "status": status}

    answer = await apply_status(
        agent[1], HUB, namespace, hub.name, body, field_manager="agent"
    )

    after = Hub.model_validate(answer).status
    assert shown_abnormal(after).keys() == {"Stalled"}
    assert after.observed_generation == hub.metadata.generation

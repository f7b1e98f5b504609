"""What the loop of a Device remembers of having said it. The agent around it is a few lines here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from cerebro.agent.devices.breaker import Breaker
from cerebro.agent.devices.reporter import DeviceReporter
from cerebro.agent.devices.status import DeviceFindings
from cerebro.kube.status_writer import Write
from cerebro.resources import Device
from support.events import Events


def device(*conditions: dict[str, Any]) -> Device:
    api = {
        "address": "10.8.0.1",
        "allowPlaintext": True,
        "credentialsSecretRef": {"name": "c"},
    }
    meta = {
        "name": "d",
        "namespace": "ns",
        "uid": "d",
        "resourceVersion": "1",
        "generation": 1,
    }
    return Device.model_validate(
        {
            "metadata": meta,
            "spec": {"api": api},
            "status": {"conditions": list(conditions)},
        }
    )


def test_the_loop_comes_again_for_a_ready_that_is_not_what_it_wrote() -> None:
    """The operator may speak and take it back before a write of ours is answered: that is seen in seconds."""
    writes: list[Write] = []
    context = SimpleNamespace(
        is_direct=lambda _: True,
        may_write=lambda _: True,
        statuses=SimpleNamespace(put=writes.append),
        recorder=Events(),
    )
    reports = DeviceReporter(context)  # type: ignore[arg-type]
    findings = DeviceFindings(reachable=True, authenticated=True, settled=True)
    breaker = Breaker(threshold=1, recovery=1.0)
    reports.report(device(), findings, breaker)
    assert len(writes) == 1
    written = writes[0].status["conditions"]
    assert reports.report(device(*written), findings, breaker) is None, (
        "it is there"
    )
    taken_back = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NotLookedYet",
        "message": "",
    }
    others = [one for one in written if one["type"] != "Ready"]
    assert (
        reports.report(device(taken_back, *others), findings, breaker)
        is not None
    )
    assert len(writes) == 1, "the write may still be on its way"

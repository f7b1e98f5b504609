"""What Device and Hub say while a mass removal waits for a person's word (rule E13)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cerebro.agent.devices.status import DeviceFindings, device_status
from cerebro.agent.hubs.status import HubFindings, hub_status
from cerebro.resources import Device, Hub

NOW = datetime(2026, 1, 1, tzinfo=UTC)
META = {
    "name": "n",
    "namespace": "ns",
    "uid": "u",
    "resourceVersion": "1",
    "generation": 1,
}
API = {
    "address": "10.8.0.1",
    "allowPlaintext": True,
    "credentialsSecretRef": {"name": "c"},
}


def device_says() -> dict[str, Any]:
    device = Device.model_validate({"metadata": META, "spec": {"api": API}})
    found = DeviceFindings(
        reachable=True, authenticated=True, settled=True, held_back=40
    )
    return device_status(device, found, NOW)


def hub_says() -> dict[str, Any]:
    hub = Hub.model_validate(
        {
            "metadata": META,
            "spec": {"addresses": ["10.7.0.1/24"], "endpoint": "h:1"},
        }
    )
    return hub_status(hub, HubFindings(up=True, held_back=40), "node", NOW)


@pytest.mark.parametrize("says", [device_says, hub_says])
def test_e13_the_message_gives_the_annotation_and_has_it_taken_away_afterwards(
    says: Any,
) -> None:
    (ready,) = [one for one in says()["conditions"] if one["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "MassRemoval")
    assert 'relay.cerebro.dev/confirm-removal: "40"' in ready["message"]
    assert "take it away afterwards" in ready["message"]

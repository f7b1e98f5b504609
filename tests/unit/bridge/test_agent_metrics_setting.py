"""CEREBRO_AGENT_METRICS: whose figures of peers are read."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cerebro.bridge.settings import BridgeSettings


def settings(**fields: Any) -> BridgeSettings:
    needed = {
        "relay_token": "main",
        "relay_api_secret": "secret",
        "namespace": "test",
    }
    return BridgeSettings(**cast("Any", {**needed, **fields}))


def test_agents_are_named_by_urls() -> None:
    first, second = "http://192.0.2.1:8080/metrics", "https://node/metrics"
    read = settings(agent_metrics=f"{first}, {second}")
    assert read.agent_metrics == (first, second)
    assert settings().agent_metrics == ()


@pytest.mark.parametrize("value", ["192.0.2.1:8080", "ftp://a/b", "http://"])
def test_what_is_no_url_ends_the_start(value: str) -> None:
    with pytest.raises(ValueError, match="must be URLs"):
        settings(agent_metrics=value)

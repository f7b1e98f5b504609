"""Settings of the processes as read from the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from cerebro.agent.settings import AgentSettings
from cerebro.bridge import environment
from cerebro.bridge.settings import BridgeSettings
from cerebro.cli import settings_page
from cerebro.operator.settings import OperatorSettings
from cerebro.runtime.settings import (
    BasicSettings,
    SettingsError,
    TunnelSettings,
    load,
    variable,
)

PROCESSES: dict[str, type[BasicSettings]] = {
    "agent": AgentSettings,
    "operator": OperatorSettings,
    "bridge": BridgeSettings,
    "tunnel": TunnelSettings,
}
PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "KUBECONFIG",
        *(
            variable(field)
            for field in OperatorSettings.model_fields
            | AgentSettings.model_fields
        ),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CEREBRO_NAMESPACE", "relay")


def test_one_namespace_is_served_unless_more_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load(OperatorSettings).namespaces == ("relay",)
    monkeypatch.setenv("CEREBRO_NAMESPACES", "one, two,one")
    assert load(OperatorSettings).namespaces == ("one", "two")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CEREBRO_NAMESPACE", "Upper_Case"),
        ("CEREBRO_NAMESPACES", "one,Two"),
        ("CEREBRO_NODE_NAME", "no node"),
        ("CEREBRO_INSTALLATION", "with:colon"),
        ("CEREBRO_HEALTH_ADDRESS", "no-port"),
        ("CEREBRO_HEALTH_ADDRESS", "0.0.0.0:8080"),
        ("CEREBRO_HEALTH_ADDRESS", "some.host:8080"),
        ("CEREBRO_LOG_LEVEL", "LOUD"),
        ("CEREBRO_LEASE_DURATION", "soon"),
        ("CEREBRO_STORE_CHECK_INTERVAL", "0"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load(AgentSettings)
    assert name in str(error.value)
    assert f"'{value}'" not in str(error.value)


def test_d4_off_loopback_the_agent_asks_for_a_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CEREBRO_HEALTH_ADDRESS", "192.0.2.1:8080")
    with pytest.raises(SettingsError, match="CEREBRO_HEALTH_TOKEN"):
        load(AgentSettings)
    monkeypatch.setenv("CEREBRO_HEALTH_TOKEN", "hush")
    settings = load(AgentSettings)
    assert (settings.health_host, settings.health_port) == ("192.0.2.1", 8080)
    assert "hush" not in repr(settings)


def test_a_renewal_that_is_too_rare_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CEREBRO_LEASE_DURATION", "9")
    with pytest.raises(SettingsError, match="CEREBRO_LEASE_RENEW_INTERVAL"):
        load(OperatorSettings)


@pytest.mark.parametrize("kind", PROCESSES.values())
def test_every_setting_says_what_it_is_for(kind: type[BasicSettings]) -> None:
    assert [
        name
        for name, field in kind.model_fields.items()
        if not field.description
    ] == []


@pytest.mark.parametrize("process", PROCESSES)
def test_the_page_names_each_process_for_exactly_the_settings_that_it_reads(
    process: str,
) -> None:
    """Case S7: a setting is known to the processes that use it, and to no more."""
    rows = re.findall(
        r"^\| (`[A-Z].*?) \|.*?\| ([a-z, ]+) \|",
        PAGE.read_text("utf-8"),
        re.MULTILINE,
    )
    documented = [
        name
        for names, readers in rows
        if process in readers.split(", ")
        for name in names.split(", ")
    ]
    fields = PROCESSES[process].model_fields
    read = [
        name
        for field in fields
        for name in environment_names(field, fields[field])
    ]
    assert sorted(documented) == sorted(f"`{name}`" for name in read)


def environment_names(name: str, field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    if alias is None:
        return [variable(name)]
    return (
        [alias]
        if isinstance(alias, str)
        else [str(choice) for choice in alias.choices]  # type: ignore[union-attr]
    )


def test_a_variable_that_a_process_does_not_know_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CEREBRO_INSTALLATION", "with:colon")
    monkeypatch.setenv("RELAY_TOKEN", "token")
    monkeypatch.setenv("RELAY_API_SECRET", "secret")
    assert "installation" not in load(OperatorSettings).model_dump()
    monkeypatch.delenv("CEREBRO_INSTALLATION")
    monkeypatch.setenv("CEREBRO_HEALTH_ADDRESS", "no-port")
    monkeypatch.setenv("CEREBRO_NAMESPACES", "Not,Names")
    assert load(BridgeSettings).namespace == "relay"


def test_the_page_of_settings_is_what_the_code_reads() -> None:
    assert PAGE.read_text("utf-8") == settings_page.render()


def test_f5_each_variable_that_does_nothing_is_warned_of_without_its_value() -> (
    None
):
    sentences = environment.warnings(
        {
            "RELAY_TOKEN": "known",
            "RELAY_TOKNE": "secret-value",
            "RELAY_RECONCILE_REMOVE": "secret-value",
            "MIKROTIK_PASS": "secret-value",
            "RELAY_EMPTY": "",
            "PATH": "/bin",
        }
    )
    assert [sentence.split()[0] for sentence in sentences] == [
        "MIKROTIK_PASS",
        "RELAY_RECONCILE_REMOVE",
        "RELAY_TOKNE",
    ]
    assert "spec.unknownPeers" in sentences[1]
    assert "secret-value" not in "".join(sentences)


def test_the_bridge_takes_the_old_relay_s_log_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RELAY_TOKEN", "token")
    monkeypatch.setenv("RELAY_API_SECRET", "secret")
    monkeypatch.setenv("RELAY_LOG_LEVEL", "warn")
    assert load(BridgeSettings).log_level == "WARNING"
    monkeypatch.setenv("RELAY_LOG_LEVEL", "loud")
    with pytest.raises(SettingsError, match=r"^RELAY_LOG_LEVEL: "):
        load(BridgeSettings)
    monkeypatch.setenv("CEREBRO_LOG_LEVEL", "debug")
    assert load(BridgeSettings).log_level == "DEBUG"


def test_f7_the_limit_for_a_router_is_its_own_else_that_for_all_else_600(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RELAY_TOKEN", "token")
    monkeypatch.setenv("RELAY_API_SECRET", "secret")
    assert load(BridgeSettings).calls_per_router == 600
    monkeypatch.setenv("RELAY_RATE_LIMIT", "50")
    assert load(BridgeSettings).calls_per_router == 50
    monkeypatch.setenv("RATE_LIMIT_PER_ROUTER", "70")
    assert load(BridgeSettings).calls_per_router == 70
